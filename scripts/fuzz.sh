#!/bin/bash
# fuzz.sh SECONDS [NAME…]   Runs the fuzzers of these names, or all, so long each. Needs no other Rust than the programs do. What
# they have found worth keeping stays in target/fuzz/corpus; bytes that break a promise are in fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=$1
shift
tools=target/tools

if ! "$tools/bin/cargo-fuzz" --version >/dev/null 2>&1; then
  mkdir -p "$tools"
  CARGO_TARGET_DIR="$tools/build" CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --debug --locked --no-track --force \
    --root "$tools" --version 0.13.2 cargo-fuzz
fi
# libFuzzer's flags of the compiler are for nightly ones; a sanitizer would watch unsafe code, of which what is fuzzed has none.
export RUSTC_BOOTSTRAP=1 PATH="$PWD/$tools/bin:$PATH"
# Many small files that nobody needs afterwards.
if [ -w /dev/shm ]; then
  export TMPDIR=/dev/shm
fi
names=()
how=(--fuzz-dir fuzz --sanitizer none --target-dir target/fuzz)
cp Cargo.lock fuzz/Cargo.lock
cargo fuzz build "${how[@]}"
[ $# -gt 0 ] || mapfile -t names < <(cargo fuzz list --fuzz-dir fuzz)
failed=()
for name in "$@" "${names[@]}"; do
  mkdir -p "target/fuzz/corpus/$name"
  echo "$name for $seconds s" >&2
  cargo fuzz run "${how[@]}" "$name" "target/fuzz/corpus/$name" -- \
    -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 -verbosity=0 || failed+=("$name")
done
if [ ${#failed[@]} -gt 0 ]; then
  echo "broken promises: ${failed[*]}" >&2
  exit 1
fi
