#!/usr/bin/env bash
# Compiles the judge and resolves the class paths of the decoders that it runs into OUT:
#   OUT/judge/              its classes
#   OUT/judge-VERSION.classpath  rocketmq-remoting VERSION with its dependencies, for each VERSION
# Does nothing when neither source nor pom has changed since the last run, and then needs no
# network.
set -euo pipefail

out=${1:?usage: build-judge.sh OUT VERSION...}
shift
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$out"
out=$(cd "$out" && pwd)

exec 9>"$out/judge.lock"
flock 9

inputs=$(find "$here/judge" "$0" -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)
# The jars are in Maven's local repository, which may have been cleared since.
current() {
    [[ -f $out/judge.inputs && $(<"$out/judge.inputs") == "$inputs" ]] || return 1
    for version in "$@"; do
        [[ -f $out/judge-$version.classpath ]] || return 1
        tr ':' '\n' <"$out/judge-$version.classpath" | xargs ls -d >/dev/null 2>&1 || return 1
    done
}
current "$@" && exit 0
rm -rf "$out/judge.inputs" "$out/judge"
for version in "$@"; do
    mvn -q -B -Dmaven.wagon.http.retryHandler.count=5 -f "$here/judge/pom.xml" \
        dependency:build-classpath -DincludeScope=runtime -Drocketmq.version="$version" \
        -Dmdep.outputFile="$out/judge-$version.classpath" >"$out/judge.log" 2>&1 || {
        cat "$out/judge.log" >&2
        exit 1
    }
done
javac -Xlint:all -d "$out/judge" "$here"/judge/src/main/java/*.java
printf '%s' "$inputs" >"$out/judge.inputs"
