# SPDX-License-Identifier: Apache-2.0
"""Machines at Fly.io that are made as a fly.toml says, by the fake of its API."""
import pytest

from fake_fly import live_config
from test_fly import IMAGE, only

TOML = """
app = "shop"
primary_region = "ams"
kill_timeout = 7
[build]
  image = "registry.fly.io/shop:file"
[deploy]
  release_command = "bin/migrate"
[env]
  MODE = "staging"
  WORKERS = 2
[processes]
  app = "bin/web --port 8080"
  worker = "bin/work"
[http_service]
  internal_port = 8080
  auto_stop_machines = "off"
[[vm]]
  memory = "512mb"
  processes = ["app"]
"""


@pytest.fixture
def make_toml(make_fly, tmp_path):
    """A bench whose machines are made like a fly.toml."""
    path = tmp_path / "fly.toml"

    def make(text=TOML, live=None, **keys):
        path.write_text(text)
        return make_fly({"live": live}, like=str(path), **keys)

    make.path = path
    return make


def test_the_first_machine_of_an_app_is_made_as_fly_toml_says(make_toml):
    bench = make_toml()
    desk = bench.start()
    answer = desk.call("plan", release="r1", image=IMAGE + "new")
    assert answer["fault"] == "ok", answer
    lines = answer["log"].splitlines()
    assert lines[0] == f"new machines are cloned from fly.toml of app shop"
    assert "release_command of fly.toml is not run: see `hooks` of the service's deploy" in lines
    assert "guest.memory_mb: set to 512" in lines and "staging" not in answer["log"]
    only(desk.start("u1", "r1", image=IMAGE + "new", env={"EXTRA": "1"}))
    machine = bench.fly.one()
    assert machine.region == "ams"
    assert machine.config == {
        "image": IMAGE + "new", "init": {"cmd": ["bin/web", "--port", "8080"]}, "files": [],
        "guest": {"cpu_kind": "shared", "cpus": 1, "memory_mb": 512},
        "stop_config": {"signal": "SIGTERM", "timeout": "7s"}, "restart": {"policy": "no"}, "dns": {"skip_registration": True},
        "env": {"MODE": "staging", "WORKERS": "2", "PRIMARY_REGION": "ams", "FLY_PROCESS_GROUP": "app", "EXTRA": "1",
                "SLUICE_SERVICE": "app", "SLUICE_RELEASE": "r1", "SLUICE_UNIT": "u1"},
        "metadata": {"fly_process_group": "app", "sluice_service": "app", "sluice_unit": "u1", "sluice_release": "r1"}}
    only(desk.start("u2", "r1"))  # no image is named: as the others of the release, whatever the file says
    assert bench.fly.ours()["u2"].config["image"] == IMAGE + "new"


def test_a_changed_fly_toml_counts_from_the_next_release_on(make_toml):
    bench = make_toml(live=live_config(guest={"cpu_kind": "performance", "cpus": 4, "memory_mb": 8192}))
    desk = bench.start()
    only(desk.start("a", "r1"))
    make_toml.path.write_text(TOML.replace("staging", "changed").replace("[[vm]]", "[[unknown]]"))
    only(desk.start("b", "r1"))
    only(desk.start("c", "r2"))
    a, b, c = (bench.fly.ours()[unit].config for unit in "abc")
    assert a["env"]["MODE"] == b["env"]["MODE"] == "staging" and c["env"]["MODE"] == "changed"
    assert a["image"] == c["image"] == IMAGE + "file"
    assert a["guest"]["memory_mb"] == b["guest"]["memory_mb"] == 512
    assert "checks" not in a and "services" not in a
    assert c["guest"]["memory_mb"] == 512  # where the file says nothing, as in the newest that runs


def test_a_plan_shows_how_fly_toml_differs_from_what_is_live(make_toml):
    bench = make_toml(TOML.replace('"shop"', '"other"').replace("= 8080", "= 3000"), live=live_config())
    answer = bench.start().call("plan", release="r1")
    assert answer["fault"] == "ok", answer
    lines = answer["log"].splitlines()
    assert "fly.toml is that of app other" in lines
    assert "no image is named: they run that of fly.toml" in lines
    assert any("no service of fly.toml is on port 8080" in line for line in lines)
    assert any(line.startswith("what differs from machine ") for line in lines)
    assert f"image: {IMAGE}good -> {IMAGE}file" in lines and "guest.memory_mb: 256 -> 512" in lines
    assert "env.MODE: (its value) -> (its value)" in lines and "checks.up.port: left out: 8080" in lines


@pytest.mark.parametrize("text, group, fault, words", [
    (None, "app", "permanent", "fly.toml: there is no such file"),
    ("app = ", "app", "permanent", "fly.toml: line 1, column "),
    (TOML, "web", "permanent", 'it has no process group "web"'),
    (TOML + '[mounts]\ndestination = "/data"\n', "app", "unsupported", "fly.toml has a volume at /data"),
    (TOML.replace('image = "registry.fly.io/shop:file"', ""), "app", "permanent", "no image is named, and fly.toml has none")],
    ids=["missing", "broken", "group", "mounts", "image"])
def test_a_fly_toml_that_will_not_do_is_refused_in_words(make_toml, text, group, fault, words):
    bench = make_toml(text or "", group=group)
    if text is None:
        make_toml.path.unlink()
    desk = bench.start()
    for answer in (desk.call("plan", release="r1"), desk.start()):
        assert answer["fault"] == fault and words in answer["reason"], answer
    assert not bench.fly.ours()
