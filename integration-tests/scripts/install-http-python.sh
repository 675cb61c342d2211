#!/usr/bin/env bash
# Makes a virtual environment in OUT/venv with mq_http_sdk, the SDK for HTTP, which depends on
# nothing.
# Installs Python 3 if it is missing: Debian's packages, as root. Otherwise prints what to install.
set -euo pipefail
source "$(dirname "$0")/venv.sh"

client=mq_http_sdk==1.0.3
venv_begin "${1:?usage: install-http-python.sh OUT}" "$client" "the Python client's tests need Python 3"
try "$out/venv/bin/pip" install --quiet --no-deps "$client"
venv_end
