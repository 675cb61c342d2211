#!/usr/bin/env bash
# Compiles the steered Go client into OUT/client. Go itself knows whether anything has changed.
set -euo pipefail

out=${1:?usage: build-go.sh OUT}
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$out"
out=$(cd "$out" && pwd)

# One build at a time: two test programs may start together.
exec 9>"$out/lock"
flock 9

cd "$here/clients/go"
# The versions are those of go.mod and go.sum, and the compiler is the one that is installed.
export GOTOOLCHAIN=local GOFLAGS=-mod=readonly
# A registry's hiccup should not fail a whole run; quiet unless it fails for good.
for _ in 1 2 3; do
    go build -trimpath -buildvcs=false -o "$out/client" . >"$out/build.log" 2>&1 && exit 0
    sleep 2
done
cat "$out/build.log" >&2
exit 1
