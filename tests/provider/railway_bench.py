# SPDX-License-Identifier: Apache-2.0
"""A bench whose service `app` has the provider `railway`, and the fake that it speaks to."""
import pytest

from conftest import Bench
from fake_railway import ENVIRONMENT, PROJECT, TOKEN, Railway
from lib.wait import SLOW


class RailwayBench(Bench):
    """`keys` are those of the provider beside what it needs; `fake` is Railway."""

    def __init__(self, folder, services=2, plan="pro", fake=None, **keys):
        self.fake = fake or Railway(plan=plan)
        super().__init__(folder, {"app": {
            "project": PROJECT, "environment": ENVIRONMENT, "services": list(self.fake.services)[:services], "plan": plan,
            "token": "${env:RAILWAY_TOKEN}", "api": self.fake.url, "image": "registry/app:${release}", "health_path": "/up",
            "timeout": f"{int(2000 * SLOW)}ms", **keys}})

    @staticmethod
    def provider_of(keys):
        return {"railway": keys}

    def start(self, **env):
        return super().start(**{"RAILWAY_TOKEN": TOKEN, **env})

    def close(self):
        super().close()
        self.fake.close()
        self.fake.check()
        assert TOKEN not in self.text()


@pytest.fixture
def railway(tmp_path):
    made = []

    def new(**options):
        folder = tmp_path / f"railway{len(made)}"
        folder.mkdir()
        made.append(RailwayBench(folder, **options))
        return made[-1]

    yield new
    for bench in made:
        bench.close()
