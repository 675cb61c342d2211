#!/usr/bin/env bash
# Installs those of these Debian packages that are missing, as root; otherwise prints what to
# install. Each is given as COMMAND or as COMMAND=PACKAGE.
set -euo pipefail

packages=()
for wanted in "$@"; do
    # Debian installs daemons outside of users' PATH.
    PATH=$PATH:/usr/sbin command -v "${wanted%%=*}" >/dev/null || packages+=("${wanted##*=}")
done
if [[ ${#packages[@]} -eq 0 ]]; then
    exit 0
fi
if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
    echo "the measurements need these Debian packages; install: ${packages[*]}" >&2
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
