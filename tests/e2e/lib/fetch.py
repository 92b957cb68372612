# SPDX-License-Identifier: Apache-2.0
"""What a browser does with answers of other origins: the checks of the Fetch standard, as it words them."""

SAFE_METHODS = {"GET", "HEAD", "POST"}  # 2.2.1, CORS-safelisted


def cors_check(reply, origin, credentials):
    """4.9 "CORS check": whether the page may have the answer."""
    allowed = reply.all("Access-Control-Allow-Origin")
    if len(allowed) != 1:
        return False  # combined by ", " they are no origin
    if not credentials and allowed[0] == "*":
        return True
    if allowed[0] != origin:
        return False
    return not credentials or reply.all("Access-Control-Allow-Credentials") == ["true"]


def listed(reply, name):
    return [item.strip() for value in reply.all(name) for item in value.split(",") if item.strip()]


def preflight_check(reply, origin, method, headers=(), credentials=False):
    """4.8 "CORS-preflight fetch", from step 7 on: whether the request itself may be sent."""
    if not cors_check(reply, origin, credentials) or not 200 <= reply.status <= 299:
        return False
    methods = listed(reply, "Access-Control-Allow-Methods")
    if method not in methods and method not in SAFE_METHODS and (credentials or "*" not in methods):
        return False
    names = [n.lower() for n in listed(reply, "Access-Control-Allow-Headers")]
    for name in (h.lower() for h in headers):
        by_star = "*" in names and not credentials and name != "authorization"
        if name not in names and not by_star:
            return False
    return True


def preflight(gw, origin, method="PUT", headers=(), path="/", more=(), host="example.com"):
    fields = [("Origin", origin), ("Access-Control-Request-Method", method), *more]
    if headers:  # 4.8 step 5: sorted, in lower case, with bare commas
        fields.append(("Access-Control-Request-Headers", ",".join(sorted(h.lower() for h in headers))))
    with gw.connect() as client:
        return client.request("OPTIONS", path, fields, host=host).reply("OPTIONS")
