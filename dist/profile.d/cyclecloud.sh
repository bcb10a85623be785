# Written by Jetpack. Lets login shells find its programs.
export CYCLECLOUD_HOME="${CYCLECLOUD_HOME:-@HOME@}"
case ":$PATH:" in
*":$CYCLECLOUD_HOME/bin:"*) ;;
*)
# Projects change this line, and look for it at the start of a line.
export PATH=$PATH:$CYCLECLOUD_HOME/bin
;;
esac
