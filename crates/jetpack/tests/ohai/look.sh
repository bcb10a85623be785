#!/bin/sh
# look.sh FOLDER   Both programs look at the machine that this runs on: ours, ohai, ours again. FOLDER has our program and ohai's
# configuration; what they say goes into FOLDER/looks.
set -eu
cd "$1"
mkdir -p looks/before looks/after

ours() { # ours LOOK   All default facts, and those that come by name only.
  ./jetpack facts >"looks/$1/default"
  ./jetpack facts --list | sed -n 's/  (by name only)$//p' | while read -r name; do
    # A machine that has nothing of it fails.
    ./jetpack facts "$name" >"looks/$1/$name" 2>"looks/said" || rm "looks/$1/$name"
  done
}

ohai --version >looks/version
if cat /proc/1/environ >/dev/null 2>&1; then : >looks/reads-init; fi
for program in ethtool ipcs lspci lsscsi python python3 sysctl; do
  command -v "$program" >/dev/null || echo "$program"
done >looks/lacks
ours before
ohai --log_level fatal --config ohai.rb >looks/ohai
ours after
