# SPDX-License-Identifier: Apache-2.0
"""A real browser, without a window and with a profile of its own."""

import os
import shutil
import subprocess

import pytest


@pytest.fixture
def browse(home):
    """Opens a page in a browser of its own until the test ends."""
    opened = []

    def open_page(url):
        profile = os.path.join(home, f"profile{len(opened)}")
        opened.append(subprocess.Popen(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             "--disable-dev-shm-usage", "--ignore-certificate-errors", f"--user-data-dir={profile}",
             "--remote-debugging-port=0", url],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "HOME": home},
            start_new_session=True))

    yield open_page
    for browser in opened:
        os.killpg(browser.pid, 9)
        browser.wait()
    for n in range(len(opened)):
        shutil.rmtree(os.path.join(home, f"profile{n}"), ignore_errors=True)
