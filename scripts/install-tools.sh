#!/bin/bash
# install-tools.sh DIR   Makes DIR a Python virtual environment with the tools of requirements-test.txt, and DIR/emulators the object
# storage of scripts/emulators. Quiet when all is well.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$1

./scripts/need.sh cargo cc venv tcsh npm rabbitmq-server
mkdir -p "$tools"
python3 -m venv "$tools"
"$tools/bin/python" -m pip --quiet --disable-pip-version-check install --requirement requirements-test.txt
mkdir -p "$tools/emulators"
cp scripts/emulators/package.json scripts/emulators/package-lock.json "$tools/emulators/"
npm --prefix "$tools/emulators" --loglevel error --ignore-scripts --no-audit --no-fund ci >/dev/null
# An S3 server. In a folder of its own, so that a second run builds nothing.
CARGO_TARGET_DIR="$tools/build" CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --debug --locked --no-track --force \
  --root "$tools" --version 0.14.1 --features binary s3s-fs
touch "$tools/.stamp"
