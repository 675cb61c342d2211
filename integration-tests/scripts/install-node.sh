#!/usr/bin/env bash
# Installs Node (18 or later) and npm for the Node client of the integration tests, if they are
# missing: Debian's packages, as root. Otherwise prints what to install.
set -euo pipefail

version=$(node --version 2>/dev/null | sed -n 's/^v\([0-9]*\).*/\1/p') || true
if [[ ${version:-0} -ge 18 ]] && command -v npm >/dev/null; then
    exit 0
fi
if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
    echo "the integration tests need Node 18 or later and npm; install: nodejs npm" >&2
    exit 1
fi

echo "installing nodejs npm"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt-get update && apt-get install -y --no-install-recommends nodejs npm; } </dev/null >"$log" 2>&1; then
    cat "$log" >&2
    echo "could not install nodejs npm" >&2
    exit 1
fi
