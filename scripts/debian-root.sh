#!/bin/bash
# debian-root.sh SUITE DIR PACKAGE...   Makes DIR the root of a small Debian with these packages. Quiet when it is there. After a
# kill it goes on with the packages that were downloaded. Needs root.
set -euo pipefail
suite=$1 root=$(realpath -m "$2")
shift 2
wanted="$suite $*"

mkdir -p "$(dirname "$root")"
exec 9>"$root.lock"
flock 9 # several tests may want it at once, and what a killed run left behind may still work
[ "$(cat "$root/.made" 2>/dev/null)" = "$wanted" ] && exit 0

"$(dirname "$0")/need.sh" mmdebstrap
rm -rf --one-file-system "$root" "$root.new"
mkdir -p "$root.packages/partial"
# The mirror of this machine, if it is a Debian; else the default.
mirror=$(apt-get indextargets --format '$(SITE)' 'Label: Debian' 2>/dev/null | head -n 1)
include=$(IFS=,; echo "$*")
# The mounts live and die with the process. Downloads go where a kill leaves them; nobody reads manuals in there.
log=$(unshare --mount --propagation private mmdebstrap --mode=root --variant=minbase --include="$include" \
  --setup-hook='mkdir -p "$1/var/cache/apt/archives"' \
  --setup-hook="mount --bind '$root.packages' \"\$1/var/cache/apt/archives\"" \
  --customize-hook='umount "$1/var/cache/apt/archives"' \
  --skip=download/empty --skip=essential/unlink \
  --aptopt='APT::Sandbox::User "root"' --aptopt='Acquire::Languages "none"' \
  --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  "$suite" "$root.new" ${mirror:+"$mirror"} 2>&1) || {
  printf '%s\nError: could not make a root of Debian `%s` in `%s`\n' "$log" "$suite" "$root" >&2
  exit 1
}
echo "$wanted" >"$root.new/.made"
mv "$root.new" "$root"
rm -rf "$root.packages"
