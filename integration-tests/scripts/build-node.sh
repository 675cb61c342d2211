#!/usr/bin/env bash
# Installs the dependencies of a Node client, `grpc-node` or `http-node`, and its program into OUT. If
# nothing has changed since the last run, it does nothing and needs no network.
set -euo pipefail

out=${1:?usage: build-node.sh OUT CLIENT}
client=${2:?usage: build-node.sh OUT CLIENT}
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$out"
out=$(cd "$out" && pwd)

# One build at a time: two test programs may start together.
exec 9>"$out/lock"
flock 9

cd "$here/clients/$client"
inputs=$(cat package.json package-lock.json "$here/scripts/build-node.sh" | sha256sum)
if [[ $(cat "$out/inputs" 2>/dev/null) != "$inputs" ]]; then
    rm -f "$out/inputs"
    cp package.json package-lock.json "$out"
    # Quiet unless it fails.
    npm ci --prefix "$out" --no-audit --no-fund --ignore-scripts >"$out/build.log" 2>&1 || {
        cat "$out/build.log" >&2
        exit 1
    }
    printf '%s' "$inputs" >"$out/inputs"
fi
cp ./*.js "$out"
