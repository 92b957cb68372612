# SPDX-License-Identifier: Apache-2.0
"""`control: {edge_config}`: all edges run by one file, which each gets after the one before it; the first that refuses it
stops it, and one that cannot be reached afterwards takes the old one back by itself."""

import json
import os

import pytest

from lib.fleet import TOKEN, Fleet, LoneControl
from lib.wait import until
from test_74_deploy import WAIT, Load

pytestmark = pytest.mark.long


class Configured(Fleet):
    """Whose edges begin with files of their own, in which the header X-File is "own"."""

    def _edge(self, gateway, number):
        edge = gateway(role="edge", run=False)
        edge.write(self.text("own", services=self.services))
        return edge.start(env={"EDGE_PORT": str(edge.port), "EDGE_ADMIN": str(edge.admin_port), "EDGE": f"e{number}"})

    def text(self, name, **parts):
        """Of a file for all of them; the ports are each one's own."""
        return {"role": "edge", "workers": 1, "state": "./state", "log": {"format": "off"},
                "listeners": [{"bind": "127.0.0.1:${env:EDGE_PORT}"}],
                "admin": {"bind": "127.0.0.1:${env:EDGE_ADMIN}",
                          "tokens": [{"name": "control", "token": TOKEN, "can": ["operate", "deploy"]}]},
                "filters": [{"rate_limit": "off"},
                            {"headers": {"response": {"set": {"X-File": name, "X-Edge": "${env:EDGE}"}}}}],
                "services": self.services, **parts}

    def another_control(self):
        self.file = os.path.join(self.home, "edges.yaml")
        self.write("first")
        self.controls.append(LoneControl(os.path.join(self.home, f"c{len(self.controls)}"), self.services, self.links,
                                         edge_config=self.file))
        return self.controls[-1]

    def write(self, name, **parts):
        text = name if isinstance(name, bytes) else json.dumps(self.text(name, **parts)).encode()
        with open(self.file + ".new", "wb") as file:
            file.write(text)
        os.rename(self.file + ".new", self.file)

    def reload(self):
        done = self.control.cli("reload")
        assert done.code == 0 and "control goes by the file" in done.out, done

    def listed(self):
        return self.control.ask("GET", "/api/v1/edges").json()["edges"]

    def files(self):
        return [edge.get("/").header("X-File") for edge in self.edges]

    def await_files(self, *names):
        names = list(names * 3 if len(names) == 1 else names)
        until(lambda: self.files() == names, f"{names} are in use", WAIT, lambda: str((self.files(), self.listed())))

    def await_words(self, *words):
        until(lambda: [e["config"] for e in self.listed()] == list(words), f"{words}", WAIT, lambda: str(self.listed()))


@pytest.fixture
def fleet(gateway, origins, home):
    made = Configured(gateway, origins, home)
    yield made
    made.close()


def test_all_get_one_file_and_keep_it(fleet):
    fleet.await_files("first")
    fleet.await_words("current", "current", "current")
    assert [edge.get("/").header("X-Edge") for edge in fleet.edges] == ["e0", "e1", "e2"]
    with Load(fleet.edges[2], 1) as load:
        fleet.write("second")
        fleet.reload()
        fleet.await_files("second")
    assert not load.wrong, load.wrong[:3]
    until(lambda: [e["generation"] for e in fleet.listed()] == [edge.generation for edge in fleet.edges], "all are known", WAIT)
    out = fleet.control.cli("edge", "list").out
    assert out.count("configuration current") == 3, out
    fleet.control.kill()
    edge = fleet.edges[0]
    os.kill(edge.edge, 9)
    until(lambda: edge.is_ready() and edge.get("/").header("X-File") == "second", "it serves on by it", WAIT)
    assert json.loads(edge.file.read_text())["filters"][1]["headers"]["response"]["set"]["X-File"] == "second"


def test_the_first_that_refuses_it_stops_it(fleet):
    fleet.await_files("first")
    fleet.write("second", services={"shop": {"targets": ["nonsense"]}})
    fleet.reload()
    fleet.await_words("refused", "refused", "refused")
    errors = {e["config_error"] for e in fleet.listed()}
    assert len(errors) == 1 and errors.pop().startswith("edge e0 refuses it: "), fleet.listed()
    assert "edge e0 refuses it" in fleet.control.cli("edge", "list").out
    assert fleet.files() == ["first"] * 3
    fleet.write("third")
    fleet.reload()
    fleet.await_files("third")
    fleet.await_words("current", "current", "current")


def test_the_last_of_many_files_is_what_they_have(fleet):
    """Though each comes while the one before it is on its way."""
    fleet.await_files("first")
    for number in range(12):
        fleet.write(f"f{number}")
        fleet.reload()
    fleet.await_files("f11")
    fleet.await_words("current", "current", "current")


def test_what_cannot_be_read_changes_nothing(fleet):
    fleet.await_files("first")
    fleet.await_words("current", "current", "current")
    os.remove(fleet.file)
    fleet.reload()
    until(lambda: all("cannot give" in e.get("config_error", "") for e in fleet.listed()), "it is said", WAIT)
    fleet.write(b"a\0b")
    fleet.reload()
    until(lambda: all("it is no text" in e.get("config_error", "") for e in fleet.listed()), "it is said", WAIT)
    assert fleet.files() == ["first"] * 3 and {e["config"] for e in fleet.listed()} == {"current"}


def test_one_that_is_away_gets_it_when_it_is_back(fleet):
    fleet.await_files("first")
    fleet.cables[0].cut()
    until(lambda: not fleet.listed()[0]["reachable"], "it is silent", WAIT)
    fleet.write("second")
    fleet.reload()
    fleet.await_files("first", "second", "second")
    fleet.cables[0].mend()
    fleet.await_files("second")


def test_what_is_changed_on_an_edge_is_set_right(fleet):
    fleet.await_files("first")
    reply = fleet.edges[1].admin("PUT", "/api/v1/config", json.dumps(fleet.text("other")))
    assert reply.status == 200, reply
    fleet.await_files("first")
    fleet.await_words("current", "current", "current")


def test_a_file_that_takes_the_way_to_an_edge_is_taken_back(fleet):
    """By the edge itself, once its minute is over; those after it never had it."""
    fleet.await_files("first")
    tokens = [{"name": "control", "token": "another-token-that-is-long-enough", "can": ["operate"]}]
    fleet.write("second", admin={"bind": "127.0.0.1:${env:EDGE_ADMIN}", "tokens": tokens})
    fleet.reload()
    fleet.await_files("second", "first", "first")
    until(lambda: "401" in fleet.listed()[0].get("error", ""), "control is not let in", WAIT, lambda: str(fleet.listed()))
    until(lambda: fleet.files() == ["first"] * 3, "it is taken back", 70 + WAIT, lambda: fleet.edges[0].stderr()[-800:])
    fleet.await_words("refused", "refused", "refused")
    assert "edge e0 could not be reached any more" in fleet.listed()[2]["config_error"]
    assert fleet.files() == ["first"] * 3


def test_a_trial_whose_answer_was_lost_is_confirmed(fleet):
    """By the control that finds it there: else the edge would take the old one back while the next has the new one."""
    fleet.await_words("current", "current", "current")
    fleet.control.close()
    fleet.write("second")
    with open(fleet.file, encoding="utf-8") as file:
        assert fleet.edges[0].admin("PUT", "/api/v1/config?confirm=10m", file.read()).status == 200
    fleet.control.start()
    fleet.await_files("second")
    fleet.await_words("current", "current", "current")
    for edge in fleet.edges:
        assert edge.admin("POST", "/api/v1/config/confirm").status == 409  # nothing waits for it


def test_a_token_that_may_not(fleet):
    fleet.await_words("current", "current", "current")
    for edge in fleet.edges:
        text = fleet.text("own")
        text["admin"]["tokens"][0]["can"] = ["deploy"]
        assert edge.admin("PUT", "/api/v1/config", json.dumps(text)).status == 200
    fleet.write("second")
    fleet.reload()
    until(lambda: "403" in fleet.listed()[0].get("error", ""), "it is said", WAIT, lambda: str(fleet.listed()))
    assert fleet.files() == ["own"] * 3
