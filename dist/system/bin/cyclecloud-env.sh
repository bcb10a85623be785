# Written by Jetpack. The environment in which it runs scripts, for others to source: `. cyclecloud-env.sh`.

export CYCLECLOUD_HOME="@HOME@"
export JETPACK_HOME="$CYCLECLOUD_HOME"
export CYCLECLOUD_BOOTSTRAP="$CYCLECLOUD_HOME/system/bootstrap"

# Our programs first, so that they are found; the Python of the node last, so that it hides no other. Wherever they stood
# before, they are there once.
_jetpack_path=":${PATH:-@SYSTEM_PATH@}:"
for _jetpack_folder in "$CYCLECLOUD_HOME/bin" "$CYCLECLOUD_HOME/system/embedded/bin"; do
    while :; do
        case "$_jetpack_path" in
        *":$_jetpack_folder:"*)
            _jetpack_path="${_jetpack_path%%":$_jetpack_folder:"*}:${_jetpack_path#*":$_jetpack_folder:"}"
            ;;
        *) break ;;
        esac
    done
done
export PATH="$CYCLECLOUD_HOME/bin${_jetpack_path}$CYCLECLOUD_HOME/system/embedded/bin"
unset _jetpack_path _jetpack_folder
