#!/bin/bash
# demo.sh [--once]   From this checkout to a running cluster of three nodes on this machine.
#
# Builds, starts a server on loopback, uploads the example projects, imports and starts the example cluster, shows the
# nodes' phases as they happen, and stays until Ctrl-C, which stops and removes everything. With --once it stops
# by itself: exit 0 when every node became Ready within a minute of the build, 1 otherwise.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

once=
[ "${1:-}" = --once ] && once=1
cluster=workqueue
patience=60 # seconds from the end of the build until every node must be Ready

say() { printf '%s\n' "$*"; }
fail() { printf 'Error: %s\n' "$*" >&2; exit 1; }

./scripts/need.sh cargo cc python3 npm || exit 1

say "Building (the first time takes a few minutes)"
cargo build --locked --workspace --bin xtask && target/debug/xtask ruby || fail "the image of Ruby cannot be made"
cargo build --release --locked || fail "the build failed"
bin="$(cargo metadata --format-version 1 --no-deps --offline | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/release"
export PATH="$bin:$PATH"

home=$(mktemp -d "${TMPDIR:-/tmp}/jetpack-demo.XXXXXX") || fail "cannot make a folder in ${TMPDIR:-/tmp}"
export CYCLECLOUD_CONFIG="$home/config.ini" # leaves the configuration of the person who runs this alone
server=
events=

clean_up() {
  trap - EXIT INT TERM
  [ -n "$events" ] && kill "$events" 2>/dev/null
  if [ -n "$server" ]; then
    say "Stopping the cluster"
    kill -TERM "$server" 2>/dev/null
    wait "$server" 2>/dev/null
  fi
  rm -rf "$home"
}
trap 'clean_up' EXIT
trap 'exit 130' TERM
trap 'exit 0' INT

# Runs a command as if somebody had typed it.
run() {
  printf '\n\033[1m$ %s\033[0m\n' "$*"
  "$@" || fail "\`$1 $2\` failed"
}
[ -t 1 ] || run() { printf '\n$ %s\n' "$*"; "$@" || fail "\`$1 $2\` failed"; }

# The port itself if nobody listens there, else 0 for any free one.
free() { if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then echo 0; else echo "$1"; fi; }
# A port for the scheduler's work list.
any_free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
address() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$home/server/run/cycle_server.json" "$1"; }

password=$(python3 -c 'import secrets; print(secrets.token_urlsafe(12))')
printf '\n$ cycle_server init %s --admin admin --password-stdin\n' "$home/server"
printf '%s\n' "$password" | cycle_server init "$home/server" --admin admin --password-stdin || fail "\`cycle_server init\` failed"

http=127.0.0.1:$(free 8080)
amqp=127.0.0.1:$(free 5672)
printf '\n$ cycle_server run --dir %s --http %s --amqp %s &\n' "$home/server" "$http" "$amqp"
cycle_server run --dir "$home/server" --http "$http" --amqp "$amqp" 2>"$home/server.log" &
server=$!
started=$SECONDS
until [ -s "$home/server/run/cycle_server.json" ]; do
  kill -0 "$server" 2>/dev/null || { cat "$home/server.log" >&2; fail "the server did not start"; }
  [ $((SECONDS - started)) -lt 20 ] || fail "the server does not answer after 20 s"
  sleep 0.05
done
url=$(address http) || fail "cannot read the address of the server"

printf '\n$ cyclecloud initialize --batch --url %s --username admin --password-stdin\n' "$url"
printf '%s\n' "$password" | cyclecloud initialize --batch --url "$url" --username admin --password-stdin || fail "\`cyclecloud initialize\` failed"

cp -r examples/projects "$home/projects"
for project in site workqueue; do
  cd "$home/projects/$project" || exit 1
  run cyclecloud project upload local
  cd "$OLDPWD" || exit 1
done

run cyclecloud import_cluster "$cluster" -f examples/clusters/workqueue.txt -P "QueuePort=$(any_free_port)"
run cyclecloud start_cluster "$cluster"

printf '\n$ cyclecloud events %s -f --priority low\n' "$cluster"
cyclecloud events "$cluster" -f --priority low &
events=$!

# Says `ready`, `done` (ready, and the work list is worked off), or what is still missing.
state() {
  cyclecloud show_nodes -c "$cluster" --format json >"$home/nodes.json" &&
    cyclecloud events "$cluster" -n 200 --priority high >"$home/events.txt" &&
    python3 - "$home/nodes.json" "$home/events.txt" <<'PYTHON'
import json, sys
nodes = json.load(open(sys.argv[1]))
waiting = [f"{n['Name']} is {n['Status']}" for n in nodes if n["Status"] != "Ready"]
if len(nodes) < 3 or waiting:
    print(", ".join(waiting) or f"there are only {len(nodes)} nodes")
else:
    print("done" if "tasks are done" in open(sys.argv[2]).read() else "ready")
PYTHON
}

started=$SECONDS
now=
while [ "$now" != done ]; do
  kill -0 "$server" 2>/dev/null || { tail -n 20 "$home/server.log" >&2; server=; fail "the server ended"; }
  now=$(state) || now="the server does not answer"
  if [ $((SECONDS - started)) -ge "$patience" ]; then
    [ "$now" = ready ] && break # the nodes are there; their work may take longer
    kill "$events" 2>/dev/null
    cyclecloud show_nodes -c "$cluster" >&2
    fail "after $patience s not every node is Ready: $now"
  fi
  sleep 0.2
done
kill "$events" 2>/dev/null
wait "$events" 2>/dev/null
events=

run cyclecloud show_nodes -c "$cluster"
run cyclecloud events "$cluster" -n 8
say ""
say "The web page: $url/   user admin, password $password"
[ -n "$once" ] && exit 0
say "Press Ctrl-C to stop the cluster and remove it."
# `wait` returns when the trap for Ctrl-C has run.
wait "$server"
server=
tail -n 20 "$home/server.log" >&2
fail "the server ended"
