#!/usr/bin/env bash
# Resolves the class path of the Java proxy into OUT/java-proxy.classpath. If the pom has not
# changed since the last run, it does nothing and needs no network.
set -euo pipefail

out=${1:?usage: build-java-proxy.sh OUT}
pom=$(cd "$(dirname "$0")/.." && pwd)/java-proxy/pom.xml
mkdir -p "$out"
out=$(cd "$out" && pwd)

exec 9>"$out/java-proxy.lock"
flock 9

inputs=$(cat "$pom" "$0" | sha256sum)
# The jars are in Maven's local repository, which may have been cleared.
if [[ -f $out/java-proxy.inputs && $(<"$out/java-proxy.inputs") == "$inputs" ]] &&
    tr ':' '\n' <"$out/java-proxy.classpath" | xargs ls -d >/dev/null 2>&1; then
    exit 0
fi
rm -f "$out/java-proxy.inputs"
# Quiet unless it fails. Retries, because a registry may fail for a moment.
mvn -q -B -Dmaven.wagon.http.retryHandler.count=5 -f "$pom" dependency:build-classpath -DincludeScope=runtime \
    -Dmdep.outputFile="$out/java-proxy.classpath" >"$out/java-proxy.log" 2>&1 || {
    cat "$out/java-proxy.log" >&2
    exit 1
}
printf '%s' "$inputs" >"$out/java-proxy.inputs"
