#!/usr/bin/env bash
# Counts the instructions of the longest turns that a client or broker can cause (src/turns), in the
# whole proxy under callgrind, and fails if one needs more than 15 million. The rule is that nothing
# runs on a worker for longer than 5 ms without giving way: 15 million are 5 ms at 3 instructions a
# nanosecond. The number is the same on a busy machine.
#   turns.sh           counts all of them
#   turns.sh heartbeat counts those with that in their name
# REMORA_BIN is the proxy to count; by default the release build, which is brought up to date.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
"$here/scripts/install.sh" valgrind
target=${CARGO_TARGET_DIR:-$here/../target}
cd "$here/.."
if [[ -z ${REMORA_BIN:-} ]]; then
    cargo build --quiet --release --locked --package proxy-server --bin remora
    REMORA_BIN=$target/release/remora
fi
# The fake clients and brokers need not be fast: they are built as for tests.
cargo build --quiet --package benches --bin turns
exec "$target/debug/turns" "$REMORA_BIN" "${1:-}"
