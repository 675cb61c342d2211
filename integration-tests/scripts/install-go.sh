#!/usr/bin/env bash
# Installs Go (1.MINOR or later, 1.19 without an argument) for the Go clients of the integration tests,
# if it is missing: Debian's package, as root. Otherwise prints what to install.
set -euo pipefail

minor=${1:-19}
is_there() {
    local version
    version=$(go version 2>/dev/null | sed -n 's/^go version go1\.\([0-9]*\).*/\1/p') || true
    [[ ${version:-0} -ge $minor ]]
}
is_there && exit 0
if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
    echo "the integration tests need Go 1.$minor or later; install: golang-go" >&2
    exit 1
fi

echo "installing golang-go"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt-get update && apt-get install -y --no-install-recommends golang-go; } </dev/null >"$log" 2>&1; then
    cat "$log" >&2
    echo "could not install golang-go" >&2
    exit 1
fi
if ! is_there; then
    echo "golang-go of this Debian is older than Go 1.$minor, which the integration tests need" >&2
    exit 1
fi
