#!/usr/bin/env bash
# Compiles the steered Java clients and resolves the class paths of clients, cluster and proxy into OUT:
#   OUT/cluster.classpath         name server, broker, tools and the official load generators
#   OUT/client-VERSION.classpath  the client compiled with rocketmq-client VERSION, for each VERSION. VERSION may also be
#                                 `grpc-VERSION`: the client that speaks gRPC, compiled with rocketmq-client-java VERSION;
#                                 `ons`: a program of its own, with Alibaba's client;
#                                 `http`: the client with Alibaba's SDK for HTTP;
#                                 `proxy`: the Java proxy, for which nothing is compiled
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

# What the files of a project's folders are.
inputs() {
    (cd "$here" && find "$@" scripts/build-java.sh -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)
}
# Whether NAME.classpath is up to date with these inputs. The jars that it names are in Maven's
# local repository, which may have been cleared since.
current() {
    [[ -f $out/$1.inputs && $(<"$out/$1.inputs") == "$2" ]] &&
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

# What has no sources: resolve_only NAME FOLDER
resolve_only() {
    local inputs
    inputs=$(inputs "$2")
    current "$1" "$inputs" && return
    rm -f "$out/$1.inputs"
    maven -f "$here/$2/pom.xml" $resolve -Dmdep.outputFile="$out/$1.classpath"
    printf '%s' "$inputs" >"$out/$1.inputs"
}

resolve_only cluster cluster
for version in "$@"; do
    name=client-$version
    case $version in
    proxy)
        resolve_only "$name" java-proxy
        continue
        ;;
    ons) folder=clients/ons library= ;;
    http) folder=clients/http-java library= ;;
    grpc-*) folder=clients/grpc-java library=${version#grpc-} ;;
    *) folder=clients/java library=$version ;;
    esac
    # The clients that speak gRPC and HTTP have sources of the other one, too.
    inputs=$(inputs "$folder" clients/java)
    current "$name" "$inputs" && continue
    # Classes of sources that are no more would stay.
    rm -rf "$out/$name.inputs" "${out:?}/$name"
    maven -f "$here/$folder/pom.xml" compile $resolve ${library:+-Drocketmq.version="$library"} \
        -Doutput.folder="$out/$name" -Dmdep.outputFile="$out/$name.dependencies"
    printf '%s:%s' "$out/$name/classes" "$(<"$out/$name.dependencies")" >"$out/$name.classpath"
    printf '%s' "$inputs" >"$out/$name.inputs"
done
