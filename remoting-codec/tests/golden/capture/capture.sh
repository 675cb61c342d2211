#!/usr/bin/env bash
# Captures the frames beside this folder again: from the real RocketMQ 5.5.0 client, name server and
# broker, once in each serialization. Needs JDK 17 and Maven; takes two minutes. Then look at what
# changed, and adapt golden.rs.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
repository=$(cd "$here/../../../.." && pwd)
work=$(mktemp -d)
pids=()
stop() {
    for pid in "${pids[@]}"; do
        kill -9 "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    pids=()
}
trap 'stop; rm -rf "$work"' EXIT

"$repository/integration-tests/scripts/build-java.sh" "$work/java"
CLASSPATH=$(<"$work/java/cluster.classpath")
export CLASSPATH

name_server=28876
broker=27911
# Opens everything that the broker or the capture asks for. Replaces the shell, so that its id is
# Java's.
java_with() {
    exec java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xmx1g -Duser.home="$work" -Drocketmq.serialize.type="$1" \
        --add-exports=java.base/sun.nio.ch=ALL-UNNAMED --add-opens=java.base/java.nio=ALL-UNNAMED \
        --add-opens=java.base/sun.nio.ch=ALL-UNNAMED "${@:2}"
}
wait_for() {
    for _ in $(seq 600); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then return; fi
        sleep 0.1
    done
    echo "nobody listens at port $1" >&2
    exit 1
}

for type in JSON ROCKETMQ; do
    [[ $type == JSON ]] && name=json || name=binary
    home=$work/$name
    mkdir "$home"
    export ROCKETMQ_HOME=$home
    echo "listenPort=$name_server" >"$home/name-server.conf"
    cat >"$home/broker.conf" <<EOF
brokerClusterName=DefaultCluster
brokerName=broker-a
brokerId=0
brokerIP1=127.0.0.1
namesrvAddr=127.0.0.1:$name_server
listenPort=$broker
storePathRootDir=$home/store
storePathCommitLog=$home/store/commitlog
autoCreateTopicEnable=true
enablePropertyFilter=true
mappedFileSizeCommitLog=134217728
EOF
    java_with $type org.apache.rocketmq.namesrv.NamesrvStartup -c "$home/name-server.conf" >"$home/name-server.log" 2>&1 &
    pids+=($!)
    wait_for $name_server
    java_with $type org.apache.rocketmq.broker.BrokerStartup -c "$home/broker.conf" >"$home/broker.log" 2>&1 &
    pids+=($!)
    wait_for $broker
    # The broker registers a moment after it listens.
    sleep 10
    (java_with $type "$here/Capture.java" "$here/.." $name $name_server $broker >"$home/capture.log" 2>&1) || {
        cat "$home/capture.log" >&2
        exit 1
    }
    stop
    sleep 1
done
