# SPDX-License-Identifier: Apache-2.0
"""In which order the tests run where several processes share them: most of them wait rather than compute, so that what
waits runs beside what computes, long ones begin first, and nobody has many laid by."""

import pytest
from xdist.scheduler import LoadScheduling

STEP = 0.6180339887498949  # the golden ratio spreads neighbours evenly, however many there are
LAID_BY = 3  # tests of a process: one runs, one must be known when it ends, one is on its way


def pytest_collection_modifyitems(config, items):
    if hasattr(config, "workerinput"):
        place = {item: at * STEP % 1 for at, item in enumerate(items)}
        items.sort(key=lambda item: (item.get_closest_marker("long") is None, place[item]))


class FewAtOnce(LoadScheduling):
    """xdist gives large shares, and the last one would run long alone."""

    def _send_tests(self, node, num):
        super()._send_tests(node, max(0, min(num, LAID_BY - len(self.node2pending[node]))))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return FewAtOnce(config, log)
