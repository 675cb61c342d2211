#!/usr/bin/env bash
# Installs a JDK (17 or later) and Maven for the real cluster and its Java clients, if they are
# missing: Debian's packages, as root. Otherwise prints what to install.
set -euo pipefail

packages=()
version=$(javac -version 2>&1 | sed -n 's/^javac \([0-9]*\).*/\1/p') || true
if [[ ${version:-0} -lt 17 ]]; then
    packages+=(openjdk-17-jdk-headless)
fi
command -v mvn >/dev/null || packages+=(maven)
# Test processes are started by setpriv, so that none outlives its test.
command -v setpriv >/dev/null || packages+=(util-linux)
if [[ ${#packages[@]} -eq 0 ]]; then
    exit 0
fi
if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
    echo "the integration tests need a JDK 17 or later, Maven and setpriv; install: ${packages[*]}" >&2
    exit 1
fi

echo "installing ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt-get update && apt-get install -y --no-install-recommends "${packages[@]}"; } </dev/null >"$log" 2>&1; then
    cat "$log" >&2
    echo "could not install ${packages[*]}" >&2
    exit 1
fi
