#!/bin/sh
# The Python of this node: the system's Python 3 in an environment of its own, with the package `jetpack`.
# Written by Jetpack; changes are lost.
#
# The environment is a virtual one: what `pip install` brings stays below system/embedded, and the system's own
# packages are seen too. It is made at the first use, without the network, and made anew when the system's Python has
# moved to another version.

case $0 in
/*) script=$0 ;;
*) script=$PWD/$0 ;;
esac
if [ -L "$script" ]; then
    script=$(readlink -f -- "$script")
fi
here=${script%/*}
embedded=${here%/bin}
library=$embedded/lib/python

if [ -z "${CYCLECLOUD_HOME:-}" ]; then
    CYCLECLOUD_HOME=${embedded%/system/embedded}
    export CYCLECLOUD_HOME
fi

# `#!/opt/cycle/jetpack/system/embedded/bin/python -m pytest` comes as one argument, which Python does not take apart.
case ${1:-} in
"-m "* | -[a-zA-Z]*" -m "*)
    options=$1
    shift
    set -f
    # shellcheck disable=SC2086
    set -- $options "$@"
    set +f
    ;;
esac

for real in "$here"/python3.[0-9]*; do
    if [ -x "$real" ]; then
        exec "$real" "$@"
    fi
done

# Tries one interpreter of the system; does not return if it will do.
try() {
    # A launcher that stands first on the PATH must not find itself.
    if [ ! -x "$1" ] || [ "$1" -ef "$script" ] || [ "$1" -ef "$here/python3" ]; then
        return
    fi
    made=$("$1" -I "$library/jetpack/_embed.py" "$embedded" 2>/dev/null) || return
    shift
    if [ ! -x "$made" ]; then
        return
    fi
    case $made in
    "$here"/*) ;;
    *)
        # This user may not write here. All that is missing is what pip would have installed.
        PYTHONPATH=$library${PYTHONPATH:+:$PYTHONPATH}
        export PYTHONPATH
        ;;
    esac
    exec "$made" "$@"
}

for folder in /usr/local/bin /usr/bin /bin; do
    try "$folder/python3" "$@"
done
rest=${PATH:-}:
while [ -n "$rest" ]; do
    folder=${rest%%:*}
    rest=${rest#*:}
    case $folder in
    /*) try "$folder/python3" "$@" ;;
    esac
done

echo "Error: this machine has no Python 3.6 or later" >&2
echo "Hint: install the package python3 of this system" >&2
exit 1
