#!/usr/bin/env bash
# Makes a virtual environment in OUT/venv, and beside it the two clients for Python, whose modules
# have the same name:
#   OUT/rocketmq          rocketmq, whose wheel contains the C++ client's library
#   OUT/client-python     rocketmq-client-python, with the library from the other wheel
# Installs Python 3 if it is missing: Debian's packages, as root. Otherwise prints what to install.
set -euo pipefail

out=${1:?usage: install-python.sh OUT}
mkdir -p "$out"
out=$(cd "$out" && pwd)
clients=(rocketmq==0.4.4 rocketmq-client-python==2.0.0)

# One at a time: two test programs may start together.
exec 9>"$out/lock"
flock 9

if [[ -f $out/installed && $(<"$out/installed") == "${clients[*]}" ]]; then
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
        echo "the Python client's tests need Python 3; install: python3 python3-venv" >&2
        exit 1
    fi
    echo "installing python3 python3-venv"
    export DEBIAN_FRONTEND=noninteractive
    try apt-get update
    try apt-get install -y --no-install-recommends python3 python3-venv
fi

rm -rf "$out/installed" "$out/venv" "$out/rocketmq" "$out/client-python"
try python3 -m venv "$out/venv"
try "$out/venv/bin/pip" install --quiet --no-deps --target "$out/rocketmq" "${clients[0]}"
try "$out/venv/bin/pip" install --quiet --no-deps --target "$out/client-python" "${clients[1]}"
cp -r "$out/rocketmq/rocketmq/librocketmq.so" "$out/rocketmq/rocketmq/.libs" "$out/client-python/rocketmq/"
printf '%s' "${clients[*]}" >"$out/installed"
