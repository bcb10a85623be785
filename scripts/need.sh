#!/bin/bash
# need.sh COMMAND...   Makes sure that the commands are there. Installs their Debian packages when it can, says what to do when
# it cannot, and is quiet when there is nothing to do.
set -uo pipefail

declare -A package=([cc]="gcc libc6-dev" [python3]="python3" [venv]="python3 python3-venv" [make]="make" [tcsh]="tcsh" [rsync]="rsync"
  [npm]="nodejs npm" [ohai]="ohai iproute2" [mmdebstrap]="mmdebstrap debian-archive-keyring"
  [rabbitmq-server]="rabbitmq-server" [puppet]="puppet-agent"
  [systemd-nspawn]="systemd-container" [nsenter]="util-linux" [script]="bsdutils" [pgrep]="procps")
there() {
  case $1 in
    rabbitmq-server) [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] ;; # the one in PATH is for root alone
    venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;; # Debian splits it from python3
    *) command -v "$1" >/dev/null ;;
  esac
}

missing=()
for command in "$@"; do
  there "$command" && continue
  if [ "$command" = cargo ]; then
    printf 'Error: `cargo` is not installed\nHint: install Rust 1.95 or later, for instance with rustup\n' >&2
    exit 1
  fi
  missing+=(${package[$command]})
done
[ "${#missing[@]}" = 0 ] && exit 0

sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
if ! command -v apt-get >/dev/null || { [ -n "$sudo" ] && ! command -v sudo >/dev/null; }; then
  printf 'Error: missing: %s\nHint: install them with the package manager of this system\n' "${missing[*]}" >&2
  exit 1
fi
printf 'Installing %s\n' "${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get -qq update >/dev/null && $sudo apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null && {
  # Its package starts a server for everybody; the tests start their own.
  [[ " ${missing[*]} " == *" rabbitmq-server "* && -d /run/systemd/system ]] && $sudo systemctl --quiet disable --now rabbitmq-server
  exit 0
}
printf 'Error: could not install %s\n' "${missing[*]}" >&2
exit 1
