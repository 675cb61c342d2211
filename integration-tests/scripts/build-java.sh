#!/usr/bin/env bash
# Compiles the steered Java client and resolves the class paths of client and cluster into OUT:
#   OUT/client.classpath   the compiled client and rocketmq-client
#   OUT/cluster.classpath  name server, broker, tools and the official load generators
# Does nothing when neither a source nor a pom has changed since the last run, and then needs no network.
set -euo pipefail

out=${1:?usage: build-java.sh OUT}
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$out"
out=$(cd "$out" && pwd)

# One build at a time: two test programs may start together.
exec 9>"$out/lock"
flock 9

inputs=$(find "$here/clients/java/pom.xml" "$here/clients/java/src" "$here/cluster/pom.xml" "$0" -type f -print0 |
    sort -z | xargs -0 sha256sum | sha256sum)
# The class paths name jars in Maven's local repository, which may have been cleared since.
jars_exist() {
    tr ':' '\n' <"$out/client.classpath" | xargs ls -d >/dev/null 2>&1 &&
        tr ':' '\n' <"$out/cluster.classpath" | xargs ls -d >/dev/null 2>&1
}
if [[ -f $out/inputs && $(<"$out/inputs") == "$inputs" ]] && jars_exist; then
    exit 0
fi
rm -f "$out/inputs"

# Quiet unless it fails. A registry's hiccup should not fail a whole run.
maven() {
    mvn -q -B -Dmaven.wagon.http.retryHandler.count=5 "$@" >"$out/maven.log" 2>&1 || {
        cat "$out/maven.log" >&2
        exit 1
    }
}
resolve=dependency:build-classpath
maven -f "$here/cluster/pom.xml" $resolve -DincludeScope=runtime -Dmdep.outputFile="$out/cluster.classpath"
maven -f "$here/clients/java/pom.xml" compile $resolve -DincludeScope=runtime \
    -Doutput.folder="$out/client" -Dmdep.outputFile="$out/client.dependencies"
printf '%s:%s' "$out/client/classes" "$(<"$out/client.dependencies")" >"$out/client.classpath"
printf '%s' "$inputs" >"$out/inputs"
