#!/usr/bin/env bash
# Compiles a Go client of the tests, `go`, `grpc-go` or `http-go`, into OUT/CLIENT. Go skips the work if nothing
# has changed.
set -euo pipefail

out=${1:?usage: build-go.sh OUT CLIENT}
client=${2:?usage: build-go.sh OUT CLIENT}
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$out"
out=$(cd "$out" && pwd)

# One build at a time: two test programs may start together.
exec 9>"$out/lock"
flock 9

cd "$here/clients/$client"
# Versions as in go.mod and go.sum, and the installed compiler.
export GOTOOLCHAIN=local GOFLAGS=-mod=readonly
# Repeated, because a registry may fail for a moment. Quiet unless the last try fails.
for _ in 1 2 3; do
    go build -trimpath -buildvcs=false -o "$out/$client" . >"$out/build.log" 2>&1 && exit 0
    sleep 2
done
cat "$out/build.log" >&2
exit 1
