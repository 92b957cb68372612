# SPDX-License-Identifier: Apache-2.0
"""The soak tests stand on the end-to-end tests' fixtures."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

from lib.fixtures import faulties, gateway, home, origin, origins, ports, pytest_configure, shared  # noqa: E402,F401
