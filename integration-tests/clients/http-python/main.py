"""The Python SDK for HTTP, steered by a test as the other client is; see ../python/client.py."""

import os
import sys

# After this folder, so that the roles are those of this one.
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))

import client  # noqa: E402

client.run()
