#!/usr/bin/env bash
# `make run`: builds what it takes, says what it does, and serves until Ctrl-C.
#   run.sh LISTEN              a RocketMQ cluster with Remora in front of it, and a message through both
#   run.sh LISTEN NAME_SERVER  Remora alone, in front of that cluster
# LISTEN is address:port. Of `default` it may be another port when 8080 is taken; any other is taken as it is.
set -euo pipefail
cd "$(dirname "$0")/../.."

listen=${1:?usage: run.sh LISTEN [NAME_SERVER]}
name_server=${2:-}
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
# Lighter than what is released, and built in less than half the time.
profile=quick
began=$SECONDS

say() {
    printf '[%3d s] %s\n' $((SECONDS - began)) "$*"
}

# Whether somebody listens there; on all addresses means on this one, too.
is_taken() {
    local host=${1%:*} port=${1##*:}
    host=${host#[} host=${host%]}
    case $host in 0.0.0.0) host=127.0.0.1 ;; ::) host=::1 ;; esac
    (exec 3<>"/dev/tcp/$host/$port") 2>/dev/null
}

if [[ $listen == default ]]; then
    for port in {8080..8099}; do
        listen=127.0.0.1:$port
        is_taken "$listen" || break
        echo "$listen is taken"
    done
fi
if [[ ! $listen =~ ^([0-9.]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}$ ]] || ((10#${listen##*:} > 65535)); then
    echo "error: LISTEN must be an address of this machine and a port, as 127.0.0.1:8080; it is $listen" >&2
    exit 1
fi
if is_taken "$listen"; then
    echo "error: something else listens at $listen; free it, or say where else: make run LISTEN=ADDRESS:PORT" >&2
    exit 1
fi

build() {
    say "building $*; the first time takes about two minutes, and 400 MB below $target"
    cargo build --locked --no-default-features --profile "$profile" "${packages[@]}"
}

if [[ -n $name_server ]]; then
    packages=(--package proxy-server --bin remora)
    build Remora
    say "starting Remora at $listen in front of $name_server; Ctrl-C ends it"
    exec "$target/$profile/remora" --name-server "$name_server" --listen "$listen"
fi

integration-tests/scripts/install-java.sh

# Maven waits for the network while the compiler does not.
say "fetching RocketMQ 5.5.0 and compiling its test client in the background; the first time loads about 130 MB"
java_log=$target/java/run.log
mkdir -p "$target/java"
# In a process group of its own, so that all of it ends when this ends early.
set -m
integration-tests/scripts/build-java.sh "$target/java" 5.5.0 </dev/null >"$java_log" 2>&1 &
java=$!
set +m
trap 'kill -- "-$java" 2>/dev/null || true' EXIT

packages=(--package proxy-server --bin remora --package integration-tests --bin run-cluster)
build "Remora and what starts a cluster"

if kill -0 "$java" 2>/dev/null; then
    say "Remora is built; waiting for Maven, whose output is in $target/java/maven.log"
fi
if ! wait "$java"; then
    cat "$java_log" >&2
    echo "error: Maven could not fetch or compile the Java side; its output is above and in $target/java/maven.log" >&2
    exit 1
fi
trap - EXIT

say "starting RocketMQ and Remora"
REMORA_BIN=$target/$profile/remora exec "$target/$profile/run-cluster" "$listen"
