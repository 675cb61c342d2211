#!/usr/bin/env bash
# Makes a virtual environment in OUT/venv with openapi-python-client, which makes a client of an
# OpenAPI document, and what such a client depends on.
# Installs Python 3 if it is missing: Debian's packages, as root. Otherwise prints what to install.
set -euo pipefail
source "$(dirname "$0")/venv.sh"

generator=(openapi-python-client==0.29.1)
venv_begin "${1:?usage: install-openapi-client.sh OUT}" "${generator[*]}" "the generated client's test needs Python 3"
try "$out/venv/bin/pip" install --quiet "${generator[@]}"
venv_end
