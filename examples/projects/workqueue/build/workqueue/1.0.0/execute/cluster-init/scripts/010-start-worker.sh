#!/bin/bash
# Starts the worker, which pulls tasks from the scheduler until none are left.
set -euo pipefail

bootstrap=$(jetpack config cyclecloud.bootstrap)
host=$(jetpack config workqueue.host 127.0.0.1)
port=$(jetpack config workqueue.port 7070)
node=$(jetpack config cyclecloud.node.name)

mkdir -p "$bootstrap/bin"
install -m 755 ../files/worker.py "$bootstrap/bin/worker.py"
nohup python3 "$bootstrap/bin/worker.py" --server "http://$host:$port" --node "$node" \
  >"$bootstrap/worker.log" 2>&1 </dev/null &

jetpack log "$node pulls work from $host:$port" --priority low
