#!/bin/bash
# debian-boot.sh ROOT PROGRAM ARGUMENT...   Boots a root that debian-root.sh made, with systemd as its first process, runs PROGRAM of
# this machine in there, powers it off, and ends as PROGRAM did. What is written goes to memory and is gone afterwards; the network
# is one of its own. PROGRAM gets JETPACK_BOOTED=1. Needs root.
set -euo pipefail
root=$(realpath "$1") program=$(realpath "$2")
shift 2
"$(dirname "$0")/need.sh" systemd-nspawn nsenter script

name=jetpack-test-$$ log=$(mktemp)
# nspawn wants to be alone in its group of processes, in every hierarchy that systemd uses.
groups=()
for hierarchy in /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
  [ -d "$hierarchy" ] && groups+=("$hierarchy/$name")
done
[ "${#groups[@]}" = 0 ] && [ -f /sys/fs/cgroup/cgroup.procs ] && groups=("/sys/fs/cgroup/$name")

container= init=
finish() {
  local status=$?
  trap - EXIT
  set +e
  [ -n "$init" ] && kill -s RTMIN+4 "$init" 2>/dev/null # power off
  if [ -n "$container" ]; then
    for _ in $(seq 100); do kill -0 "$container" 2>/dev/null || break; sleep 0.1; done
    kill -KILL "$container" 2>/dev/null
  fi
  wait 2>/dev/null
  for group in "${groups[@]}"; do
    find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null
  done
  rm -f "$log"
  exit "$status"
}
trap finish EXIT
trap 'exit 143' TERM INT

(
  for group in "${groups[@]}"; do
    mkdir -p "$group"
    echo "$BASHPID" >"$group/cgroup.procs"
  done
  export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
  # It wants a terminal for its console.
  exec setsid script --quiet --return --flush --command "systemd-nspawn --directory='$root' --boot --volatile=overlay \
    --private-network --register=no --keep-unit --machine=$name --bind-ro='$program':/usr/local/bin/under-test" "$log"
) </dev/null >/dev/null 2>&1 &

for _ in $(seq 400); do
  container=$(pgrep -f -- "^systemd-nspawn .*--machine=$name " | head -n 1) || true
  [ -n "$container" ] && init=$(pgrep -P "$container" | head -n 1) || true
  [ -n "$init" ] && [ -S "/proc/$init/root/run/systemd/private" ] && break
  init=
  sleep 0.05
done
if [ -z "$init" ]; then
  cat "$log" >&2
  printf 'Error: `%s` does not boot\n' "$root" >&2
  exit 99
fi

inside=(nsenter --target "$init" --mount --uts --ipc --net --pid --cgroup env -i
  PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb JETPACK_BOOTED=1)
for _ in $(seq 600); do
  state=$("${inside[@]}" systemctl is-system-running 2>/dev/null) || true
  case $state in running | degraded) break ;; esac
  sleep 0.1
done
"${inside[@]}" /usr/local/bin/under-test "$@"
