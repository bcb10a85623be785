#!/bin/bash
# install-tools.sh DIR   Makes DIR a Python virtual environment with the tools of requirements-test.txt.
#
# Quiet when all is well; needs cargo, and installs the Debian packages that it misses.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$1

command -v cargo >/dev/null || { echo "Error: cargo is not installed
Hint: install Rust 1.95 or later, for instance with rustup" >&2; exit 1; }

sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
missing=()
command -v cc >/dev/null || missing+=(gcc libc6-dev)
# Debian splits ensurepip from python3.
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
if [ "${#missing[@]}" -gt 0 ]; then
  echo "Installing ${missing[*]}" >&2
  $sudo apt-get -qq update && $sudo apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
fi

mkdir -p "$tools"
python3 -m venv "$tools"
"$tools/bin/python" -m pip --quiet --disable-pip-version-check install --requirement requirements-test.txt
touch "$tools/.stamp"
