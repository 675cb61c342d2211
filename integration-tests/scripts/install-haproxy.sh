#!/usr/bin/env bash
# Installs HAProxy, which balances clients between replicas, and `ip`, with which a test hides
# brokers, if they are missing: Debian's packages, as root. Otherwise prints what to install.
set -euo pipefail

packages=()
# Debian installs it outside of users' PATH.
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
# Keeps the package from starting the service: Debian asks this file, and 101 means no.
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
# Nor must it start with the machine.
if [[ " ${packages[*]} " == *" haproxy "* ]]; then
    update-rc.d haproxy disable >/dev/null 2>&1 || true
fi
