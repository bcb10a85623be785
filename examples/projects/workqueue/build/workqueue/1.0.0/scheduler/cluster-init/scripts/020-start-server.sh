#!/bin/bash
# Starts the server from which the execute nodes pull, and waits until it answers.
set -euo pipefail

bootstrap=$(jetpack config cyclecloud.bootstrap)
port=$(jetpack config workqueue.port 7070)

mkdir -p "$bootstrap/bin"
install -m 755 ../files/work_server.py "$bootstrap/bin/work_server.py"
nohup python3 "$bootstrap/bin/work_server.py" --list "$bootstrap/work-list" --port "$port" \
  >"$bootstrap/work-list/server.log" 2>&1 </dev/null &

for _ in $(seq 100); do
  if python3 -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:$port/status', timeout=1)" 2>/dev/null; then
    jetpack log "the work list is served at port $port"
    exit 0
  fi
  kill -0 $! 2>/dev/null || break
  sleep 0.1
done
echo "the work server does not answer at port $port:" >&2
tail -n 5 "$bootstrap/work-list/server.log" >&2
exit 1
