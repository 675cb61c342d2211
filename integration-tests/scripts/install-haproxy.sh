#!/usr/bin/env bash
# Makes sure that HAProxy is there, which balances clients between replicas, and `ip`, by which a test hides brokers.
# Installs Debian's packages when they are absent and this runs as root; otherwise says what to install.
set -euo pipefail

packages=()
# Debian keeps it where only root's PATH leads.
[[ -x /usr/sbin/haproxy ]] || command -v haproxy >/dev/null || packages+=(haproxy)
[[ -x /usr/sbin/ip ]] || command -v ip >/dev/null || packages+=(iproute2)
if [[ ${#packages[@]} -eq 0 ]]; then
    exit 0
fi
if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
    echo "the integration tests need HAProxy 2.x and ip; install: ${packages[*]}" >&2
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
# The package would start a service; only tests are to start it. Debian asks this file, and 101 is a no.
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
# Nor is it to start with the machine.
if [[ " ${packages[*]} " == *" haproxy "* ]]; then
    update-rc.d haproxy disable >/dev/null 2>&1 || true
fi
