# SPDX-License-Identifier: Apache-2.0
"""The end-to-end tests' fixtures; see lib/fixtures.py."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lib.browser import browse, pages  # noqa: E402,F401
from lib.collector import collector  # noqa: E402,F401
from lib.fixtures import faulties, gateway, home, origin, origins, ports, pytest_configure, shared  # noqa: E402,F401
from lib.h2fixtures import ask, door, h2origin, h2origins, raw  # noqa: E402,F401
from lib.order import pytest_collection_modifyitems, pytest_xdist_make_scheduler  # noqa: E402,F401
from lib.sleeper import sleepy  # noqa: E402,F401
