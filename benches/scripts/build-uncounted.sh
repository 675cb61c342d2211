#!/usr/bin/env bash
# Builds Remora without metrics, beside the usual build, and prints the path of the binary. For
# measuring the cost of metrics.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=${CARGO_TARGET_DIR:-target}/uncounted
RUSTFLAGS="${RUSTFLAGS:-} --cfg uncounted" cargo build --quiet --release --locked --package proxy-server --bin remora --target-dir "$target" >&2
realpath "$target/release/remora"
