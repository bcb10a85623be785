#!/bin/bash
# install-tools.sh DIR   Makes DIR a Python virtual environment with the tools of requirements-test.txt. Quiet when all is well.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$1

./scripts/need.sh cargo cc venv tcsh
mkdir -p "$tools"
python3 -m venv "$tools"
"$tools/bin/python" -m pip --quiet --disable-pip-version-check install --requirement requirements-test.txt
touch "$tools/.stamp"
