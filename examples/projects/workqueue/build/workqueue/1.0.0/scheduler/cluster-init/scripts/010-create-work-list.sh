#!/bin/bash
# Turns the project's blob of tasks into the work list of this cluster.
#
# This must not happen twice: a second list would hand out work that is already done. Jetpack runs a
# script that succeeded only once; the check below is for people who run it by hand.
set -euo pipefail

list="$(jetpack config cyclecloud.bootstrap)/work-list"
if [ -e "$list/tasks.csv" ]; then
  echo "there is a work list in $list already" >&2
  exit 1
fi

mkdir -p "$list"
jetpack download tasks.csv "$list/tasks.csv.new"
mv "$list/tasks.csv.new" "$list/tasks.csv"
tasks=$(($(wc -l <"$list/tasks.csv") - 1))
jetpack log "created a work list of $tasks tasks" --priority low
