#!/usr/bin/env bash
# Checks everything in deploy: the rules and their tests, the dashboard, the chart and its
# manifests, the compose file. Then starts the chart's container as a process. Uses REMORA_BIN, or
# builds remora; installs its tools below target.
#   check.sh          all of that
#   check.sh compose  runs the compose file's services as processes, under load: a minute, as root, with a JDK and Maven
set -euo pipefail
cd "$(dirname "$0")/.."
exec </dev/null

target=${CARGO_TARGET_DIR:-target}
tools=$target/deploy
deploy/scripts/install-tools.sh "$tools"
if [[ -z ${REMORA_BIN:-} ]]; then
    cargo build --quiet --release --locked --package proxy-server --bin remora
    REMORA_BIN=$target/release/remora
fi

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
python() {
    PYTHONDONTWRITEBYTECODE=1 "$tools/venv/bin/python" "$@"
}
# Quiet unless it fails.
quietly() {
    "$@" >"$out/log" 2>&1 || {
        cat "$out/log" >&2
        echo "failed: $*" >&2
        exit 1
    }
}

if [[ ${1:-} == compose ]]; then
    integration-tests/scripts/install-java.sh
    integration-tests/scripts/build-java.sh "$target/java"
    python deploy/scripts/run_compose.py "$REMORA_BIN" "$target/java/cluster.classpath"
    exit
fi

python deploy/scripts/check_dashboard.py "$out"
python deploy/scripts/check_chart.py "$tools/bin/helm" "$out"
quietly promtool check rules deploy/prometheus/*.rules.yaml "$out"/*.rules.yaml
quietly promtool test rules deploy/prometheus/*.test.yaml
echo "prometheus: rules, their tests, and the expressions of the dashboard"
python deploy/scripts/check_docker.py "$tools/bin/compose" "$REMORA_BIN"
python deploy/scripts/run_rendered.py "$REMORA_BIN" "$tools/bin/helm" "$out"
