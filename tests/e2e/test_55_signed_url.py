# SPDX-License-Identifier: Apache-2.0
"""Links that the application signs: they pass until they expire, as they are, and nothing else does."""

import hashlib
import hmac
import time

import pytest

from lib.gateway import run

OLD, NEW = "an old secret of thirty-two bytes", "a new secret of thirty-two bytes!"


def sign(target, secret=NEW, seconds=60, name="signature"):
    """The target with its end and its signature, as an application would make it."""
    target += ("&" if "?" in target else "?") + f"expires={int(time.time()) + seconds}"
    return f"{target}&{name}={hmac.new(secret.encode(), target.encode(), hashlib.sha256).hexdigest()}"


@pytest.fixture
def gw(origin, gateway):
    return gateway(origin, filters=[{"signed_url": {"secrets": [OLD, NEW]}}, {"rate_limit": "off"}])


def refused(reply, reason="url_signature_invalid"):
    assert (reply.status, reply.reason) == (403, reason), reply


def test_signed_links_pass_until_they_expire(gw, origin):
    for secret in (OLD, NEW):
        link = sign("/file%20a?download=1", secret)
        assert gw.get(link).status == 200
        assert origin.requests[-1].target == link.partition("&signature=")[0]
    refused(gw.get(sign("/file", seconds=-1)), "url_expired")
    refused(gw.get(sign("/file", secret="another secret of thirty-two bytes")))


def test_a_signature_is_for_one_link(gw, origin):
    link = sign("/file?a=1&b=2")
    tail = link.partition("&signature=")[2]
    for other in (
        link.replace("/file", "/else"),
        link.replace("/file", "//file"),
        link.replace("/file", "/File"),
        link.replace("a=1", "a=2"),
        link.replace("a=1&b=2", "b=2&a=1"),
        link.replace("a=1&", ""),
        link + "&c=3",
        link + "&signature=" + tail,
        link[:-1],
        link[:-1] + ("0" if link[-1] != "0" else "1"),
        link + "0",
        link.replace("expires=", "expires=9"),
        "/file?signature=" + tail,
        "/file?signature=",
        "/file?a=1&b=2",
        "/file",
    ):
        refused(gw.get(other))
    assert not origin.requests
    assert gw.get(link).status == 200


def test_a_link_without_an_end_is_none(gw):
    for target in ("/file?", "/file?expires=", "/file?expires=soon", "/file?expires=-1", "/file?expires=9999999999999"):
        digest = hmac.new(NEW.encode(), target.encode(), hashlib.sha256).hexdigest()
        refused(gw.get(target + ("&" if target[-1] != "?" else "") + f"signature={digest}"))


def test_a_link_only_reads(gw):
    refused(gw.post(sign("/file"), b"x"))


def test_signatures_are_not_logged(gw):
    good = sign("/file")
    bad = sign("/file", secret="another secret of thirty-two bytes")
    gw.get(good)
    gw.get(bad)
    gw.logs(2)
    log = gw.log_file.read_text()
    assert good[-64:] not in log and bad[-64:] not in log


@pytest.mark.parametrize(
    "options, says",
    [
        ({}, "secrets"),
        ({"secrets": []}, "empty"),
        ({"secrets": ["short"]}, "at least 32 bytes"),
        ({"secrets": [NEW], "expires": "signature"}, "two names"),
        ({"secrets": [NEW], "expires": "a b"}, "two names"),
    ],
)
def test_wrong_configurations(gateway, origin, options, says):
    made = gateway(origin, filters=[{"signed_url": options}], run=False)
    done = run("check", str(made.file))
    assert done.code == 2 and says in done.err, done
    assert NEW not in done.err and "short" not in done.err.replace("shorter", "")
