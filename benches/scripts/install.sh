#!/usr/bin/env bash
# Installs those of these Debian packages that are missing, as root; otherwise prints what to
# install. Each is given as COMMAND or as COMMAND=PACKAGE. Services in them are not started, now or
# with the machine.
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
    echo "these Debian packages are missing; install: ${packages[*]}" >&2
    exit 1
fi

echo "installing ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
policy=/usr/sbin/policy-rc.d
made_policy=
tidy() {
    rm -f "$log"
    [[ -z $made_policy ]] || rm -f "$policy"
}
trap tidy EXIT
# Keeps packages from starting services: Debian asks this file, and 101 means no.
if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    made_policy=yes
fi
if ! { apt-get update && apt-get install -y --no-install-recommends "${packages[@]}"; } </dev/null >"$log" 2>&1; then
    cat "$log" >&2
    echo "could not install ${packages[*]}" >&2
    exit 1
fi
# Nor must they start with the machine.
for package in "${packages[@]}"; do
    if [[ -e /etc/init.d/$package ]]; then
        update-rc.d "$package" disable >/dev/null 2>&1 || true
    fi
done
