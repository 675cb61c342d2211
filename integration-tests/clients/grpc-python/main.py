"""The Python client that speaks gRPC, steered by a test as the other one is; see ../python/client.py."""

import os
import sys

# After this folder, so that the roles are those of this one.
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))

import client  # noqa: E402

client.run()
