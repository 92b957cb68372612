# SPDX-License-Identifier: Apache-2.0
"""The provider `railway`, beside what test_contract.py says: what Railway can do wrong, and what it cannot do. The bench
says of each test that nothing was asked which the published schema has not, or too often."""
import fcntl
import os
import signal
import struct
import termios
import time

import pytest

from fake_railway import GOOD, REGIONS, TOKEN
from lib.wait import SLOW, until
from railway_bench import railway  # noqa: F401 (a fixture)

LONG = 40 * SLOW


def finish(desk, number):
    """The end of a call that may take longer than most."""
    until(lambda: number in desk.done or desk.is_gone, "the call ends", LONG)
    return desk.end(number)


def start(desk, unit="u1", release="r1", **more):
    return finish(desk, desk.begin("start", id=unit, release=release, **more))


def stop(desk, unit="u1", remove=False):
    return finish(desk, desk.begin("stop", id=unit, grace_ms=0, remove=remove))


def plan(desk, release="r1", units=1, **more):
    return finish(desk, desk.begin("plan", release=release, units=units, **more))


def made(fake):
    return sum(len(service.deployments) for service in fake.services.values())


# --- what is sent

def test_all_settings_are_sent_and_read_back(railway):
    bench = railway(regions={REGIONS[2]: {"replicas": 2}}, health_timeout="90s", overlap="11s", drain="12s", restarts=3)
    service = bench.fake.services["s-1"]
    service.settings.update(startCommand="./app --loud", preDeployCommand=["./migrate"], source={"repo": "a/b", "image": None})
    assert start(bench.start())["fault"] == "ok"
    assert {key: service.settings[key] for key in service.settings if key not in ("serviceName", "cronSchedule")} == {
        "source": {"repo": None, "image": "registry/app:r1"}, "healthcheckPath": "/up", "healthcheckTimeout": 90,
        "overlapSeconds": 11, "drainingSeconds": 12, "sleepApplication": False, "startCommand": "./app --loud",
        "preDeployCommand": ["./migrate"], "restartPolicyType": "ON_FAILURE", "restartPolicyMaxRetries": 3}
    assert service.regions == {REGIONS[2]: {"numReplicas": 2}}


def test_the_app_is_told_who_it_is(railway):
    bench = railway(port=9000)
    assert start(bench.start(), env={"SLUICE_DEPLOY_A": "1"})["fault"] == "ok"
    variables = bench.fake.services["s-1"].deployments[0].variables
    assert {key: variables[key] for key in ("PORT", "SLUICE_SERVICE", "SLUICE_RELEASE", "SLUICE_UNIT", "SLUICE_DEPLOY_A")} == {
        "PORT": "9000", "SLUICE_SERVICE": "app", "SLUICE_RELEASE": "r1", "SLUICE_UNIT": "u1", "SLUICE_DEPLOY_A": "1"}


def test_an_image_that_a_deploy_names_is_run(railway):
    bench = railway()
    unit = start(bench.start(), image="registry/app@sha256:0123")["units"][0]
    assert bench.fake.live() == {unit["handle"]: "registry/app@sha256:0123"}
    assert unit["address"] == "a.railway.internal:8080" and unit["region"] is None


def test_a_token_of_an_account_is_sent_as_such(railway):
    bench = railway(token_type="account")
    bench.fake.header = "Authorization"
    assert start(bench.start())["fault"] == "ok"


@pytest.mark.parametrize("setting, says", [
    ("healthcheckPath", 'healthcheckPath: null -> "/up"'), ("source", "source"), ("multiRegionConfig", "replicas in us-west2: 1 -> 3"),
    ("drainingSeconds", "drainingSeconds: null -> 30")])
def test_a_setting_that_reads_back_otherwise_is_an_error(railway, setting, says):
    bench = railway(regions={"us-west2": {"replicas": 3}})
    bench.fake.untaken = {setting}
    answer = start(bench.start())
    assert answer["fault"] == "permanent" and "did not take the settings of shop-a" in answer["reason"]
    assert says in answer["reason"]
    assert not made(bench.fake)


# --- what fails on the way

@pytest.mark.parametrize("operation", ["look", "mark", "configure", "deploy"])
@pytest.mark.parametrize("kind", ["429", "500", "drop", "lost", "late", "html", "busy", "broken", "error after", "throttled"])
def test_a_start_that_fails_on_the_way_deploys_once(railway, operation, kind):
    bench = railway()
    bench.fake.fail(operation, kind)
    answer = start(bench.start())
    assert answer["fault"] == "ok" and answer["units"][0]["state"] == "running", answer
    assert made(bench.fake) == 1 and len(bench.fake.live()) == 1


@pytest.mark.parametrize("operation", ["look", "remove", "mark"])
@pytest.mark.parametrize("kind", ["429", "500", "lost", "late", "error after", "refused"])
def test_a_stop_that_fails_on_the_way_leaves_nothing(railway, operation, kind):
    if kind == "refused" and operation != "remove":
        pytest.skip("what is refused for good is a fault")
    bench = railway()
    desk = bench.start()
    start(desk)
    bench.fake.fail(operation, kind)
    assert stop(desk, remove=True)["fault"] == "ok"
    assert not bench.fake.live() and desk.list() == {}
    assert made(bench.fake) == 1


@pytest.mark.parametrize("kind, fault, says", [
    ("full", "capacity", "plan"), ("refused", "permanent", "Invalid image"), ("not authorized", "unauthorized", "refuses the token")])
def test_what_is_refused_for_good_is_said(railway, kind, fault, says):
    bench = railway()
    bench.fake.fail("deploy", kind)
    desk = bench.start()
    answer = start(desk)
    assert answer["fault"] == fault and says in answer["reason"]
    assert stop(desk, remove=True)["fault"] == "ok" and desk.list() == {}


@pytest.mark.parametrize("kind", ["500", "nonsense", "html", "drop"])
def test_a_platform_that_is_down_is_said(railway, kind):
    bench = railway()
    bench.fake.fail("any", kind, 1000)
    desk = bench.start()
    for call in ("list", "start", "stop"):
        answer = finish(desk, desk.begin(call, id="u1", release="r1", grace_ms=0, remove=True))
        assert answer["fault"] == "transient" and "Railway" in answer["reason"]
    bench.fake.faults.clear()
    assert start(desk)["fault"] == "ok"


def unread(connection):
    """Bytes of ours that the other end has not taken yet."""
    return struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))[0]


def begin_a_second(railway):
    """One that runs, and one that is built for as long as it is looked at."""
    bench = railway(plan="hobby")
    bench.fake.ways = [("r2", [("QUEUED", 0.02), ("BUILDING", 3600)])]
    desk = bench.start()
    start(desk)
    desk.begin("start", id="u2", release="r2")
    until(lambda: bench.fake.count("deploy") == 2, "the second one is on its way")
    return bench, desk, bench.fake.count("look")


def test_a_look_that_is_not_understood_hides_nothing(railway):
    bench, desk, looks = begin_a_second(railway)
    until(lambda: bench.fake.count("look") > looks, "it is looked after")
    bench.fake.fail("look", "nonsense held")
    assert bench.fake.is_holding.wait(LONG)
    number = desk.begin("list")
    until(lambda: not unread(desk.connection), "the call has begun")
    bench.fake.let_go.set()
    answer = finish(desk, number)
    assert answer["fault"] == "ok" and "u1" in {unit["id"] for unit in answer["units"]}, answer


def test_one_that_waits_for_long_holds_up_no_other(railway):
    bench, desk, looks = begin_a_second(railway)
    until(lambda: bench.fake.count("look") >= looks + 4, "it is looked after less and less often", LONG)
    assert stop(desk)["fault"] == "ok"
    at = next(i for i, (operation, _) in enumerate(bench.fake.asked) if operation == "remove")
    assert bench.fake.asked[at][1] - bench.fake.asked[at - 1][1] < 1 * SLOW, bench.fake.asked


def test_a_throttled_account_is_left_alone(railway):
    bench = railway()
    bench.fake.fail("look", "429")
    assert start(bench.start())["fault"] == "ok"
    first, second = (at for _, at in bench.fake.asked[:2])
    assert second - first >= 0.95


def test_an_account_that_is_to_be_left_alone_for_long_is_said(railway):
    bench = railway()
    bench.fake.retry_after = 3600
    bench.fake.fail("look", "429")
    desk = bench.start()
    for _ in range(2):
        answer = start(desk)
        assert answer["fault"] == "transient" and "may be asked again in 3" in answer["reason"]
    assert len(bench.fake.asked) == 1


def test_a_token_that_is_revoked_half_way(railway):
    bench = railway()
    bench.fake.ways = [("", [("BUILDING", 0.5 * SLOW), ("DEPLOYING", 2 * SLOW), ("SUCCESS", None)])]
    desk = bench.start()
    number = desk.begin("start", id="u1", release="r1")
    until(lambda: bench.fake.live(), "it is deployed", LONG)
    bench.fake.is_revoked = True
    answer = finish(desk, number)
    assert answer["fault"] == "unauthorized" and "refuses the token" in answer["reason"]
    assert desk.call("list")["fault"] == "unauthorized"
    assert TOKEN not in bench.text()
    bench.fake.is_revoked = False
    assert start(desk)["fault"] == "ok" and made(bench.fake) == 1


@pytest.mark.parametrize("operation", ["look", "mark", "configure", "deploy"])
def test_a_control_that_is_killed_deploys_once(railway, operation):
    bench = railway()
    bench.fake.fail(operation, "late")
    desk = bench.start()
    desk.begin("start", id="u1", release="r1")
    until(lambda: bench.fake.count(operation), f"{operation} is asked", LONG)
    os.kill(desk.pid, signal.SIGKILL)
    desk = bench.next_desk()
    assert start(desk)["fault"] == "ok"
    assert made(bench.fake) == 1 and set(desk.list()) == {"u1"}


# --- states

def test_a_deployment_that_fails_says_where(railway):
    bench = railway()
    bench.fake.ways = [("app:r1", [("BUILDING", 0.1), ("DEPLOYING", 0.1), ("FAILED", None)])]
    bench.fake.events["registry/app:r1"] = [("CREATE_CONTAINER", None), ("HEALTHCHECK", "/up answered 503 for 90 s")]
    desk = bench.start()
    answer = start(desk)
    assert answer["fault"] == "permanent"
    assert "of shop-a is FAILED: HEALTHCHECK: /up answered 503 for 90 s" in answer["reason"]
    unit = desk.list()["u1"]
    assert unit["state"] == "failed" and unit["fault"] == "permanent" and "FAILED" in unit["reason"]
    assert start(desk, "u2", "r2")["fault"] == "ok"
    assert stop(desk, remove=True)["fault"] == "ok" and set(desk.list()) == {"u2"}


def test_one_that_crashes_was_executed(railway):
    bench = railway()
    bench.fake.ways = [("", [("DEPLOYING", 0.1), ("CRASHED", None)])]
    answer = start(bench.start())
    assert answer["fault"] == "ok" and answer["units"][0]["state"] == "failed"
    assert "CRASHED" in answer["units"][0]["reason"]


def test_one_that_crashes_later_is_started_again(railway):
    bench = railway()
    bench.fake.ways = [("", [*GOOD[:-1], ("SUCCESS", 1 * SLOW), ("CRASHED", None)])]
    desk = bench.start()
    assert start(desk)["units"][0]["state"] == "running"
    until(lambda: desk.list()["u1"]["state"] == "failed", "it is seen", LONG)
    bench.fake.ways = []
    unit = start(desk)["units"][0]
    assert unit["state"] == "running" and unit["restarts"] == 1


@pytest.mark.parametrize("status", ["QUEUED", "BUILDING", "NEEDS_APPROVAL", "DEPLOYING", "INITIALIZING"])
def test_one_that_is_stuck_is_said_and_can_be_stopped(railway, status):
    bench = railway(deadline="1s")
    bench.fake.ways = [("", [(status, None)])]
    desk = bench.start()
    answer = start(desk)
    assert answer["fault"] == "transient" and f"is still {status} after 1 s" in answer["reason"]
    assert answer["units"][0]["state"] == "starting"
    listing = desk.call("list")
    assert bool(listing["warning"]) == (status == "NEEDS_APPROVAL")
    assert stop(desk, remove=True)["fault"] == "ok"
    assert not bench.fake.live() and desk.list() == {}


def test_deployments_that_are_lost_are_made_again(railway):
    bench = railway()
    desk = bench.start()
    start(desk)
    bench.fake.lose()
    until(lambda: desk.list()["u1"]["state"] == "stopped", "it is seen", LONG)
    unit = start(desk)["units"][0]
    assert unit["state"] == "running" and list(bench.fake.live()) == [unit["handle"]]


def test_a_deployment_that_is_listed_late_is_not_made_again(railway):
    bench = railway()
    bench.fake.lag = 2 * SLOW
    assert start(bench.start())["fault"] == "ok"
    assert made(bench.fake) == 1


def test_a_deployment_that_somebody_else_makes_is_the_units(railway):
    """Railway moves what runs from host to host by itself."""
    bench = railway()
    desk = bench.start()
    first = start(desk)["units"][0]
    moved = bench.fake.deploy(bench.fake.services["s-1"], "registry/app:r1")
    until(lambda: desk.list()["u1"]["handle"] == moved.id and first["handle"] not in bench.fake.live(), "it has moved", LONG)
    assert stop(desk, remove=True)["fault"] == "ok" and not bench.fake.live()


def test_a_deployment_of_another_image_is_not_taken_for_it(railway):
    bench = railway()
    bench.fake.ways = [("app:r1", [("BUILDING", 3 * SLOW), ("SUCCESS", None)])]
    desk = bench.start()
    number = desk.begin("start", id="u1", release="r1")
    until(lambda: bench.fake.live(), "it is deployed", LONG)
    bench.fake.deploy(bench.fake.services["s-1"], "somebody/else:1")
    answer = finish(desk, number)
    assert answer["fault"] == "permanent" and "runs the image somebody/else:1" in answer["reason"]


def test_what_may_sleep_is_warned_of(railway):
    bench = railway()
    desk = bench.start()
    start(desk)
    bench.fake.services["s-1"].settings["sleepApplication"] = True
    warning = until(lambda: desk.call("list")["warning"], "a warning", LONG)
    assert "shop-a may sleep" in warning


def test_the_log_is_that_of_the_deployment(railway):
    bench = railway()
    desk = bench.start()
    unit = start(desk)["units"][0]
    bench.fake.logs[unit["handle"]] = ["one", "two"]
    assert desk.log() == "one\ntwo\n"


@pytest.mark.parametrize("text", ["", "-", "u1", "u1=r1", "u1=r1@x*1", "=r1@1*1", "u1=@1*1", "u" * 64 + "=r1@1*1", "../x=r1@1*1", "\x00"])
def test_a_mark_that_is_none_is_no_unit(railway, text):
    bench = railway()
    bench.fake.services["s-1"].variables["SLUICE_HOLDS"] = text
    desk = bench.start()
    assert desk.list() == {}
    assert start(desk)["fault"] == "ok" and set(desk.list()) == {"u1"}


# --- the pair, and one service

def test_units_take_the_services_in_turn(railway):
    bench = railway()
    desk = bench.start()
    places = [start(desk, f"u{i}", f"r{i}")["units"][0]["address"][0] for i in range(2)]
    assert places == ["a", "b"]
    answer = start(desk, "u2", "r2")
    assert answer["fault"] == "capacity" and "shop-a and shop-b" in answer["reason"]
    stop(desk, "u0", remove=True)
    assert start(desk, "u2", "r2")["units"][0]["address"][0] == "a"
    assert sorted(bench.fake.live().values()) == ["registry/app:r1", "registry/app:r2"]


def test_one_that_rests_gives_up_its_place(railway):
    bench = railway()
    desk = bench.start()
    start(desk, "u1", "r1")
    start(desk, "u2", "r2")
    stop(desk, "u1")
    assert start(desk, "u3", "r3")["fault"] == "ok"
    assert start(desk, "u1", "r1")["fault"] == "capacity"
    stop(desk, "u2")
    assert start(desk, "u1", "r1")["units"][0]["address"][0] == "b"
    assert sorted(bench.fake.live().values()) == ["registry/app:r1", "registry/app:r3"]


def test_what_was_not_made_here_is_replaced_last(railway):
    bench = railway()
    bench.fake.deploy(bench.fake.services["s-1"], "by/hand:1")
    desk = bench.start()
    assert desk.list() == {}
    assert start(desk, "u1", "r1")["units"][0]["address"][0] == "b"
    assert "will be replaced" in plan(desk, "r2")["log"]
    assert start(desk, "u2", "r2")["units"][0]["address"][0] == "a"
    until(lambda: sorted(bench.fake.live().values()) == ["registry/app:r1", "registry/app:r2"], "it is replaced", LONG)


def test_one_service_is_deployed_over(railway):
    bench = railway(services=1)
    desk = bench.start()
    start(desk, "u1", "r1")
    assert start(desk, "u2", "r2")["fault"] == "ok"
    until(lambda: list(bench.fake.live().values()) == ["registry/app:r2"], "the old one is gone", LONG)
    until(lambda: {unit["id"]: unit["state"] for unit in desk.list().values()} == {"u1": "stopped", "u2": "running"}, "it is seen", LONG)
    assert stop(desk, "u1", remove=True)["fault"] == "ok" and set(desk.list()) == {"u2"}


def test_one_service_keeps_the_old_one_when_the_new_one_fails(railway):
    bench = railway(services=1)
    bench.fake.ways = [("app:r2", [("BUILDING", 0.1), ("FAILED", None)])]
    desk = bench.start()
    start(desk, "u1", "r1")
    assert start(desk, "u2", "r2")["fault"] == "permanent"
    assert {unit["id"]: unit["state"] for unit in desk.list().values()} == {"u1": "running", "u2": "failed"}
    assert stop(desk, "u2", remove=True)["fault"] == "ok"
    assert start(desk, "u1", "r1")["units"][0]["restarts"] == 0
    assert list(bench.fake.live().values()) == ["registry/app:r1"]


# --- plans

def change(fake, **settings):
    fake.services["s-1"].settings.update(settings)


@pytest.mark.parametrize("services, intent, fault, says", [
    (1, {"is_side_by_side": True}, "unsupported", "strategy: platform"),
    (1, {"is_warm": True}, "unsupported", "cannot be kept warm"),
    (2, {"is_platform": True}, "unsupported", "one runs on"),
    (2, {"units": 3}, "unsupported", "`regions`")])
def test_a_plan_refuses_what_cannot_be(railway, services, intent, fault, says):
    answer = plan(railway(services=services).start(), **intent)
    assert answer["fault"] == fault and says in answer["reason"]


@pytest.mark.parametrize("spoil, fault, says", [
    (lambda fake: change(fake, sleepApplication=True), "permanent", "may sleep"),
    (lambda fake: change(fake, cronSchedule="0 * * * *"), "unsupported", "cron"),
    (lambda fake: setattr(fake.services["s-2"], "volume", "/data"), "unsupported", "shop-b has a volume at /data"),
    (lambda fake: fake.services.pop("s-2"), "permanent", "ServiceInstance not found"),
    (lambda fake: setattr(fake, "is_revoked", True), "unauthorized", "refuses the token"),
    (lambda fake: fake.fail("look", "500", 100), "transient", "Railway answers with status 500")])
def test_a_plan_refuses_what_is_set_otherwise(railway, spoil, fault, says):
    bench = railway()
    spoil(bench.fake)
    desk = bench.start()
    answer = plan(desk)
    assert answer["fault"] == fault and says in answer["reason"]
    assert not made(bench.fake)


@pytest.mark.parametrize("keys, fault, says", [
    ({"regions": {"mars-1": {}}}, "permanent", "no region mars-1: it has us-west2, "),
    ({"environment": "e-0002"}, "permanent", "not found"),
    ({"project": "p-0002"}, "unauthorized", "another project"),
    ({"token_type": "account"}, "unauthorized", "refuses the token")])
def test_a_plan_refuses_what_is_not_there(railway, keys, fault, says):
    answer = plan(railway(**keys).start())
    if keys.get("project"):
        assert answer["fault"] in (fault, "permanent")
        return
    assert answer["fault"] == fault and says in answer["reason"]


def test_a_plan_needs_an_image(railway):
    bench = railway(image="${release}")
    bench.file.write_text(bench.file.read_text().replace('"image": "${release}", ', ""))
    desk = bench.start()
    assert "no image is named" in plan(desk)["reason"]
    assert plan(desk, image="registry/app:1")["fault"] == "ok"
    assert start(desk)["fault"] == "permanent"


def test_a_plan_says_what_will_be(railway):
    bench = railway()
    bench.fake.services["s-1"].variables["DATABASE_URL"] = "secret-of-the-database"
    answer = plan(bench.start(), "r7", is_side_by_side=True, is_warm=True)
    assert answer["fault"] == "ok"
    for says in ("release r7 will be image registry/app:r7 in service shop-a", 'healthcheckPath: null -> "/up"',
                 "only one of the two services has: DATABASE_URL"):
        assert says in answer["log"]
    assert "secret-of-the-database" not in answer["log"]
    assert bench.fake.count("look") == len(bench.fake.asked)


def test_a_plan_of_one_service_says_what_it_is(railway):
    answer = plan(railway(services=1, overlap="7s").start())
    assert answer["fault"] == "ok" and "strategy platform" in answer["log"] and "both run for 7 s" in answer["log"]


# --- how often

@pytest.mark.parametrize("level", ["free", "hobby", "pro"])
def test_listings_are_not_requests(railway, level):
    desk = (bench := railway(plan=level)).start()
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        desk.list()
    assert bench.fake.count("look") <= 2


def test_a_deploy_of_a_free_account_keeps_to_its_limits(railway):
    """The bench fails when the account was asked more often than it may be."""
    bench = railway(plan="free")
    desk = bench.start()
    numbers = [desk.begin("start", id=f"u{i}", release="r1") for i in range(6)]
    faults = [finish(desk, number)["fault"] for number in numbers]
    assert faults == ["ok", "ok", "capacity", "capacity", "capacity", "capacity"]
    assert len(bench.fake.live()) == 2 and len(bench.fake.asked) <= 30
