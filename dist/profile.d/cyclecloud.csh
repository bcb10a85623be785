# Written by Jetpack. Lets login shells find its programs.
if (! $?CYCLECLOUD_HOME) setenv CYCLECLOUD_HOME "@HOME@"
# A folder on the path that cannot be read makes the shell complain at every command.
if (-r "$CYCLECLOUD_HOME/bin") then
    if (":${PATH}:" !~ "*:${CYCLECLOUD_HOME}/bin:*") setenv PATH "${PATH}:${CYCLECLOUD_HOME}/bin"
endif
