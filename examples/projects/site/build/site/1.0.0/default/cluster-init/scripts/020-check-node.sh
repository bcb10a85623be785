#!/bin/bash
# Compares the machine with what this site expects of its nodes.
set -euo pipefail

expected=$(jetpack config site.min_memory_gb 1)
memory=$(awk '/^MemTotal:/ {print int($2 / 1048576)}' /proc/meminfo)
if [ "$memory" -lt "$expected" ]; then
  message="this node has $memory GB of memory, the site expects $expected GB"
  if [ "$(jetpack config site.strict False)" = "True" ]; then
    jetpack log "$message" --level error
    echo "$message" >&2
    exit 1
  fi
  jetpack log "$message" --level=warn --priority=medium
fi
echo "memory: $memory GB, expected: $expected GB"
