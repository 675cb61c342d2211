#!/usr/bin/env bash
# Compiles the steered Java client and resolves the class paths of clients and cluster into OUT:
#   OUT/cluster.classpath         name server, broker, tools and the official load generators
#   OUT/client-VERSION.classpath  the client compiled with rocketmq-client VERSION, for each VERSION; `ons` is a program of its
#                                 own, with Alibaba's client
# Does nothing when neither a source nor a pom has changed since the last run, and then needs no
# network.
set -euo pipefail

out=${1:?usage: build-java.sh OUT VERSION...}
shift
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$out"
out=$(cd "$out" && pwd)

# One build at a time: two test programs may start together.
exec 9>"$out/lock"
flock 9

inputs=$(find "$here/clients/java/pom.xml" "$here/clients/java/src" "$here/clients/ons/pom.xml" "$here/clients/ons/src" "$here/cluster/pom.xml" "$0" -type f -print0 |
    sort -z | xargs -0 sha256sum | sha256sum)

# Whether NAME.classpath is up to date. The jars that it names are in Maven's local repository,
# which may have been cleared since.
current() {
    [[ -f $out/$1.inputs && $(<"$out/$1.inputs") == "$inputs" ]] &&
        tr ':' '\n' <"$out/$1.classpath" | xargs ls -d >/dev/null 2>&1
}
# Quiet unless it fails. A registry's hiccup should not fail a whole run.
maven() {
    mvn -q -B -Dmaven.wagon.http.retryHandler.count=5 "$@" >"$out/maven.log" 2>&1 || {
        cat "$out/maven.log" >&2
        exit 1
    }
}
resolve="dependency:build-classpath -DincludeScope=runtime"

if ! current cluster; then
    rm -f "$out/cluster.inputs"
    maven -f "$here/cluster/pom.xml" $resolve -Dmdep.outputFile="$out/cluster.classpath"
    printf '%s' "$inputs" >"$out/cluster.inputs"
fi
for version in "$@"; do
    name=client-$version
    current "$name" && continue
    # Classes of sources that are no more would stay.
    rm -rf "$out/$name.inputs" "${out:?}/$name"
    sources=java
    [[ $version == ons ]] && sources=ons
    maven -f "$here/clients/$sources/pom.xml" compile $resolve -Drocketmq.version="$version" \
        -Doutput.folder="$out/$name" -Dmdep.outputFile="$out/$name.dependencies"
    printf '%s:%s' "$out/$name/classes" "$(<"$out/$name.dependencies")" >"$out/$name.classpath"
    printf '%s' "$inputs" >"$out/$name.inputs"
done
