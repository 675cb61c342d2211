#!/usr/bin/env bash
# Makes a virtual environment in OUT/venv with rocketmq-python-client, which speaks gRPC, and what it
# depends on. Its modules have the same names as those of other clients, which therefore have an
# environment of their own.
# Installs Python 3 if it is missing: Debian's packages, as root. Otherwise prints what to install.
set -euo pipefail
source "$(dirname "$0")/venv.sh"

# With the versions of its dependencies with which it was tried.
client=(rocketmq-python-client==5.1.2 grpcio==1.85.1 protobuf==7.36.2)
venv_begin "${1:?usage: install-grpc-python.sh OUT}" "${client[*]}" "the Python client's tests need Python 3"
try "$out/venv/bin/pip" install --quiet "${client[@]}"
venv_end
