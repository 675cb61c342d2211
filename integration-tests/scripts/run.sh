#!/usr/bin/env bash
# `make run`: builds what is needed, prints each step, and serves until Ctrl-C.
#   run.sh LISTEN              a RocketMQ cluster with Remora in front of it, and a message through both
#   run.sh LISTEN NAME_SERVER  Remora alone, in front of that cluster
# LISTEN is an address and a port that are free, or `default`: the first free port of 127.0.0.1 from
# 8080 to 8099. Variables of Remora (REMORA_ADMIN, REMORA_LOG, ...) are passed on to it.
set -euo pipefail

# Shells ignore SIGINT in background jobs of scripts, and a shell cannot trap a signal that was
# ignored at its start.
ignored=$(sed -n 's/^SigIgn:[[:space:]]*//p' /proc/$$/status)
if ((0x$ignored & 2)); then
    exec env --default-signal=INT "$BASH" "$0" "$@"
fi
cd "$(dirname "$0")/../.."

listen=${1:?usage: run.sh LISTEN [NAME_SERVER]}
name_server=${2:-}
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
# Compiles in less than half the time of the release profile.
profile=quick
started=$SECONDS

say() {
    printf '[%3d s] %s\n' $((SECONDS - started)) "$*"
}

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Whether a process listens at this address. One that listens on all addresses listens on 127.0.0.1
# as well.
is_taken() {
    local host=${1%:*} port=${1##*:}
    host=${host#[} host=${host%]}
    case $host in 0.0.0.0) host=127.0.0.1 ;; ::) host=::1 ;; esac
    (exec 3<>"/dev/tcp/$host/$port") 2>/dev/null
}

# Prints the first free port of 127.0.0.1 from $1 to $2. $3 is how to name another.
first_free() {
    local port
    for ((port = $1; port <= $2; port++)); do
        if ! is_taken "127.0.0.1:$port"; then
            echo "127.0.0.1:$port"
            return
        fi
    done
    fail "127.0.0.1 has no free port from $1 to $2; name another address: $3"
}

# Everything that takes long runs in a process group of its own, and this script waits for it. So a
# signal reaches this script at once, wherever it comes from, and `stop` ends all groups.
jobs=()
server=
start() {
    set -m
    "$@" </dev/null &
    set +m
    jobs+=($!)
}

run() {
    start "$@"
    wait $!
}

stop() {
    trap '' INT TERM HUP
    local job
    for job in "${jobs[@]}"; do
        kill -INT -- "-$job" 2>/dev/null || true
    done
    if [[ -n $server ]] && wait "$server"; then
        exit 0
    fi
    wait "${jobs[@]}" 2>/dev/null || true
    exit 130
}

# When make alone gets SIGINT, it blocks that signal, does not pass it on, and waits for this
# script. So this looks for it each second. It also notices that make was killed.
watch_make() {
    trap - INT TERM HUP EXIT
    local blocked
    while sleep 1; do
        blocked=$(sed -n 's/^SigBlk:[[:space:]]*//p' "/proc/$PPID/status" 2>/dev/null) || true
        if [[ -z $blocked ]] || ((0x$blocked & 2)); then
            kill -INT $$
            return
        fi
    done
}

end_jobs() {
    local job
    for job in "${jobs[@]}"; do
        kill -- "-$job" 2>/dev/null || true
    done
}

trap stop INT TERM HUP
trap end_jobs EXIT
if [[ $(cat "/proc/$PPID/comm" 2>/dev/null) == *make ]]; then
    start watch_make
fi

if [[ $listen == default ]]; then
    listen=$(first_free 8080 8099 "make run LISTEN=ADDRESS:PORT")
    [[ $listen == *:8080 ]] || echo "127.0.0.1:8080 is taken, so Remora will listen at $listen"
fi
if [[ ! $listen =~ ^([0-9.]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}$ ]] || ((10#${listen##*:} > 65535)); then
    fail "LISTEN must be an address of this machine and a port, such as 127.0.0.1:8080; it is $listen"
fi
if is_taken "$listen"; then
    fail "another process listens at $listen; end it, or name another port: make run LISTEN=ADDRESS:PORT"
fi

build() {
    say "building $1; the first time takes about two minutes, and 400 MB below $target"
    shift
    run cargo build --locked --no-default-features --profile "$profile" "$@"
}

# Remora alone, in front of a cluster that is there.
if [[ -n $name_server ]]; then
    admin=${REMORA_ADMIN:-$(first_free 9100 9119 "REMORA_ADMIN=ADDRESS:PORT make run ...")}
    if is_taken "$admin"; then
        fail "another process listens at $admin; end it, or name another port: REMORA_ADMIN=ADDRESS:PORT make run ..."
    fi
    build Remora --package proxy-server --bin remora
    remora=$target/$profile/remora
    say "starting Remora in front of $name_server; its log follows"
    start "$remora" --name-server "$name_server" --listen "$listen" --admin "$admin"
    server=$!
    for ((tries = 0; tries < 40; tries++)); do
        kill -0 "$server" 2>/dev/null || break
        ! "$remora" --health "http://$admin/readyz" >/dev/null 2>&1 || break
        sleep 0.25
    done
    if kill -0 "$server" 2>/dev/null; then
        if "$remora" --health "http://$admin/readyz" >/dev/null 2>&1; then
            echo
            say "Remora serves"
        else
            echo
            say "no name server has answered at $name_server yet; Remora keeps trying, and serves once one answers"
        fi
        cat <<END

Remora    $listen   the name-server address for your clients
admin     http://$admin/metrics   also /livez, /readyz, /config, /log

mqadmin -n $listen: commands that do what clients do work, such as topicRoute, sendMessage,
consumeMessage and printMsg. Administrative ones, such as clusterList, need more keys, which are off
by default because every client could administer the cluster then: "mqadmin and dashboards" in
proxy-server/docs/clients.md.

Ctrl-C ends Remora.

END
    fi
    wait "$server"
    exit
fi

run integration-tests/scripts/install-java.sh

# Maven waits for the network while the compiler does not.
say "fetching RocketMQ 5.5.0 and compiling its test client in the background; the first time loads about 130 MB"
java_log=$target/java/run.log
mkdir -p "$target/java"
start integration-tests/scripts/build-java.sh "$target/java" 5.5.0 >"$java_log" 2>&1
java=$!

build "Remora and the program that starts a cluster" \
    --package proxy-server --bin remora --package integration-tests --bin run-cluster

if kill -0 "$java" 2>/dev/null; then
    say "Remora is built; waiting for Maven, whose output is in $target/java/maven.log"
fi
if ! wait "$java"; then
    cat "$java_log" >&2
    fail "Maven could not fetch or compile the Java side; its output is above and in $target/java/maven.log"
fi

say "starting RocketMQ and Remora"
export REMORA_BIN=$target/$profile/remora
# If this script is killed, all of it ends as well: the servers die with run-cluster.
start setpriv --pdeathsig TERM -- "$target/$profile/run-cluster" "$listen"
server=$!
wait "$server"
