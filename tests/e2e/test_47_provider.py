# SPDX-License-Identifier: Apache-2.0
"""A service whose instances a provider runs, as the edge sees it. The apps themselves are in tests/provider."""

from lib.gateway import run
from lib.memory import has_in_memory
from lib.wait import until

APP = {"command": ["/bin/cat"], "user": "nobody"}


def processes_of(gw):
    """The supervisor, the edge and control."""
    def found():
        pids = [gw.process.pid, *gw.edges()]
        control = [int(line.rsplit("=", 1)[1]) for line in gw.stderr().splitlines() if "control started pid=" in line]
        return control and [*pids, control[-1]]
    return until(found, "all processes")


def test_a_service_without_targets_yet_says_so(gateway):
    gw = gateway(services={"app": {"provider": {"process": APP}}})
    answer = gw.get("/")
    assert (answer.status, answer.reason) == (503, "destination_unavailable")


def test_secrets_of_an_app_are_not_in_the_edge(gateway):
    gw = gateway(services={"app": {"provider": {"process": APP}}}, run=False)
    for name in ("app", "token"):
        (gw.home / name).write_text(f"hush-of-the-{name}-0123456789abcdef")
    gw.change(services={"app": {"provider": {"process": {"env": {"SECRET": "${file:%s/app}" % gw.home}}}}},
              admin={"tokens": [{"name": "a", "token": "${file:%s/token}" % gw.home, "can": ["operate"]}]})
    gw.start()
    pids = processes_of(gw)
    # What all of the file is read for is found, so what is not found is not there.
    assert any(has_in_memory(pid, b"hush-of-the-token-0123456789abcdef") for pid in gw.edges())
    assert not any(has_in_memory(pid, b"hush-of-the-app-0123456789abcdef") for pid in pids)


def test_check_says_what_an_app_will_not_find(gateway):
    gw = gateway(services={"app": {"provider": {"process": {**APP, "env": {"A": "${env:NOT_THERE_AT_ALL}"}}}}})
    done = run("check", gw.file)
    assert done.code == 2 and 'no environment variable "NOT_THERE_AT_ALL"' in done.err


def test_it_is_not_for_people(gateway):
    gw = gateway(services={"app": {"provider": {"process": APP}}})
    done = run("unit", gw.file, "app", "r1", "u1", "1")
    assert done.code == 2 and "not by hand" in done.err
