#!/bin/sh
# Written by Jetpack. Runs a command from cron as scripts of this node are run:
#
#     * * * * * root @HOME@/system/bootstrap/cron_wrapper.sh COMMAND [ARGUMENT...]

if [ "$#" -eq 0 ]; then
    echo "usage: cron_wrapper.sh COMMAND [ARGUMENT...]" >&2
    exit 2
fi
. "@HOME@/system/bin/cyclecloud-env.sh"
exec "$@"
