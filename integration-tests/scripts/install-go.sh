#!/usr/bin/env bash
# Installs Go (1.19 or later) for the Go client of the integration tests, if it is missing: Debian's
# package, as root. Otherwise prints what to install.
set -euo pipefail

version=$(go version 2>/dev/null | sed -n 's/^go version go1\.\([0-9]*\).*/\1/p') || true
if [[ ${version:-0} -ge 19 ]]; then
    exit 0
fi
if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
    echo "the integration tests need Go 1.19 or later; install: golang-go" >&2
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
