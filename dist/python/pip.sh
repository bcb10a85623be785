#!/bin/sh
# pip of the node's Python: installs below system/embedded and leaves the system's Python alone.
# Written by Jetpack; a pip that was installed in its place stays.

case $0 in
/*) script=$0 ;;
*) script=$PWD/$0 ;;
esac
if [ -L "$script" ]; then
    script=$(readlink -f -- "$script")
fi
python=${script%/*}/python

if ! "$python" -c 'import pip' 2>/dev/null; then
    # Some systems ship pip's wheel with Python and pip itself apart. No network is needed.
    "$python" -m ensurepip >/dev/null 2>&1
fi
if ! "$python" -c 'import pip' 2>/dev/null; then
    echo "Error: the Python of this system has no pip" >&2
    echo "Hint: install the package python3-pip of this system" >&2
    exit 1
fi
exec "$python" -m pip "$@"
