#!/usr/bin/env bash
# Counts the instructions of the hot paths (src/hot_path) per request with callgrind. Fails if they
# exceed those in instructions.txt by more than the tolerance. The count does not depend on how busy
# the machine is.
#   instructions.sh           compares
#   instructions.sh --accept  writes the counts into instructions.txt
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
baseline=$here/instructions.txt
tolerance=3 # per cent
few=1000
many=11000
# What runs in the same thread and is not counted: the client and the brokers of gRPC.
aside='benches::aside::poll_aside*'

"$here/scripts/install.sh" valgrind
target=${CARGO_TARGET_DIR:-$here/../target}
(cd "$here/.." && cargo build --quiet --release --package benches --bin hot-path)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# All instructions of a run with $2 requests of kind $1.
count() {
    valgrind --tool=callgrind --callgrind-out-file="$work/out" --toggle-collect="$aside" --collect-atstart=yes \
        "$target/release/hot-path" "$1" "$2" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        exit 1
    }
    sed -n 's/^\(summary\|totals\): \([0-9]*\).*/\2/p' "$work/out" | head -n 1
}

status=0
for kind in json binary grpc; do
    # The difference of two runs does not contain the start.
    first=$(count "$kind" "$few")
    second=$(count "$kind" "$many")
    now=$(((second - first) / (many - few)))
    echo "$kind $now" >>"$work/now"
    before=$(sed -n "s/^$kind //p" "$baseline" 2>/dev/null || true)
    if [[ -z $before ]]; then
        echo "$kind: $now instructions per request, nothing to compare with"
        [[ ${1:-} == --accept ]] || status=1
        continue
    fi
    awk -v kind="$kind" -v now="$now" -v before="$before" -v tolerance="$tolerance" 'BEGIN {
        change = (now - before) * 100 / before
        grown = change > tolerance
        printf "%s: %d instructions per request, %+.1f %% against %d%s\n", kind, now, change, before,
            grown ? ": more than " tolerance " %" : ""
        if (change < -tolerance) print kind ": fewer; --accept writes the new count"
        exit grown
    }' || status=1
done

if [[ ${1:-} == --accept ]]; then
    cp "$work/now" "$baseline"
    status=0
fi
exit $status
