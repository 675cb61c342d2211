#!/usr/bin/env bash
# Makes a virtual environment in OUT/venv, and beside it the clients for Python, whose modules
# have the same name:
#   OUT/rocketmq          rocketmq, whose wheel contains the C++ client's library
#   OUT/client-python     rocketmq-client-python, with the library from the other wheel
#   OUT/client-grpc       rocketmq-python-client, which speaks gRPC, without its dependencies
# Installs Python 3 if it is missing: Debian's packages, as root. Otherwise prints what to install.
set -euo pipefail
source "$(dirname "$0")/venv.sh"

clients=(rocketmq==0.4.4 rocketmq-client-python==2.0.0 rocketmq-python-client==5.1.2)
venv_begin "${1:?usage: install-python.sh OUT}" "${clients[*]}" "the Python client's tests need Python 3"
rm -rf "$out/rocketmq" "$out/client-python" "$out/client-grpc"
try "$out/venv/bin/pip" install --quiet --no-deps --target "$out/rocketmq" "${clients[0]}"
try "$out/venv/bin/pip" install --quiet --no-deps --target "$out/client-python" "${clients[1]}"
try "$out/venv/bin/pip" install --quiet --no-deps --target "$out/client-grpc" "${clients[2]}"
cp -r "$out/rocketmq/rocketmq/librocketmq.so" "$out/rocketmq/rocketmq/.libs" "$out/client-python/rocketmq/"
venv_end
