# SPDX-License-Identifier: Apache-2.0
"""Includes run downward only, never between siblings, and each library's header stays where it belongs."""
import os
import re

import tree

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)

# Of these folders the files that define one are siblings, and know nothing of each other.
SIBLINGS = ("src/edge/filter/", "src/edge/balance/", "src/control/provider/")
DEFINES_ONE = re.compile(r"^const struct (?:filter|balancer|provider) \w+ =", re.M)

# A library's header, and the only files that may include it (regular expressions over paths).
LIBRARIES = {
    r"toml\+\+/.*": [r"src/control/provider/toml\.cc"],
    r"yaml\.h": [r"src/config/(yaml|tree)\w*\.c"],
    r"jansson\.h": [r"src/config/schema\.c", r"src/cli/\w+\.[ch]", r"src/edge/manager/\w+\.[ch]",
                   r"src/edge/auth/\w+\.c", r"src/control/((deploy|scale|provider)/)?\w+\.[ch]", r"src/rest/\w+\.[ch]"],
    r"uv\.h": [r"src/edge/\w+\.[ch]", r"src/edge/(upstream|filter|manager)/\w+\.[ch]", r"src/cli/\w+\.[ch]",
              r"src/control/((deploy|provider)/)?\w+\.[ch]", r"src/rest/\w+\.[ch]"],
    r"pcre2\.h": [r"src/edge/route/\w+\.[ch]", r"src/edge/validate/ecma\.c"],
    r"curl/curl\.h": [r"src/edge/manager/keys\.c", r"src/cli/\w+\.[ch]", r"src/control/\w+\.[ch]"],
    r"ares\.h": [r"src/edge/upstream/resolver\w*\.c"],
    r"xxhash\.h": [r"src/base/\w+\.[ch]", r"src/edge/\w+\.c", r"src/edge/(route|balance|metric|tls|upstream|limit|auth|script|validate)/\w+\.[ch]",
                 r"src/control/deploy/units\.c"],
    r"llhttp\.h": [],
    r"maxminddb\.h": [r"src/edge/access/geo_\w+\.[ch]"],
    r"zlib\.h|zstd\.h|brotli/.*": [r"src/edge/shape/(en|de)coder\.c"],
    r"hiredis/.*": [r"src/edge/upstream/redis\w*\.c"],
    r"luajit-2\.1/.*": [r"src/edge/script/script\w*\.[ch]", r"src/edge/filter/lua\w*\.[ch]"],
    r"openssl/.*": [r"src/edge/access/proof\.c", r"src/edge/limit/shared\.c", r"src/(edge/)?tls/\w+\.[ch]", r"src/edge/auth/\w+\.[ch]", r"src/rest/rest_(tls|cert)\.c", r"src/base/(api_key|mac)\.c", r"src/edge/manager/api_keys\.c", r"src/config/digest\.c", r"src/http/websocket\.c", r"src/edge/script/script_digest\.c", r"src/control/acme\w*\.[ch]", r"src/control/(ledger|notice_queue|notice_text|whole_file|provider/fly_toml_read)\.c"],
    r"sqlite3\.h": [r"src/control/store_\w+\.[ch]"],
    r"nghttp2/.*": [r"src/http/h2\w*\.[ch]"],
}

# Nothing on the way of a request takes a lock or writes what another thread writes: read-modify-write and locks are a
# matter of a few files. Plain loads and stores of single-writer numbers may stand anywhere in the edge.
SHARED = re.compile(r"\b(?:__atomic_(?!load_n|store_n)\w+|stdatomic\.h|_Atomic|atomic_\w+\s*\(|__sync_\w+"
                    r"|(?:pthread|uv)_(?:mutex|rwlock|cond|spin)\w*)")
SHARED_FILES = [
    r"src/edge/(mailbox|snapshot|registry|worker)\.[ch]",
    r"src/edge/upstream/(crowd|demand|endpoint|gate)\.[ch]",
    r"src/edge/limit/limiter\.c",
    r"src/edge/auth/(key_store\.[ch]|replay\.c)",
    r"src/edge/script/dict\.c",
    r"src/edge/tls/tls_(server|client|tickets|challenges)\.[ch]",
    r"src/edge/access/geo_file\.c",
    r"src/edge/(metric|manager)/\w+\.[ch]",
]
ATOMIC = re.compile(r"\b__atomic_\w+")


def allowed(path, patterns):
    return any(re.fullmatch(p, path) for p in patterns)


def resolve(path, name):
    """The file of the tree that an include in quotes means."""
    for base in ("include", "src", os.path.dirname(path)):
        candidate = os.path.normpath(os.path.join(base, name))
        if os.path.isfile(os.path.join(tree.ROOT, candidate)):
            return candidate
    return None


def defines_one(path):
    source = os.path.splitext(path)[0] + ".c"
    return os.path.isfile(os.path.join(tree.ROOT, source)) and bool(DEFINES_ONE.search(tree.read(source)))


def are_siblings(path, target):
    if os.path.splitext(path)[0] == os.path.splitext(target)[0] or not target.startswith(SIBLINGS):
        return False
    return os.path.dirname(path) == os.path.dirname(target) and defines_one(path) and defines_one(target)


def check_own(path, target):
    if not target.startswith("src/"):
        return None
    if path.startswith("include/"):
        good = tree.layer(target) <= tree.layer("src/config/diag.h")
        return None if good else f"a contract may not include {target}"
    if path.startswith("src/process/") and not target.startswith(("src/process/", "src/base/")):
        return f"the supervisor knows base alone, not {target}"
    if {path.split("/")[1], target.split("/")[1]} == {"edge", "control"}:
        return f"edge and control never include each other: {target}"
    if are_siblings(path, target):
        return f"siblings do not include each other: {target}"
    if tree.layer(target) > tree.layer(path):
        return f"includes upward: {target}"
    return None


def check_library(path, name):
    for library, places in LIBRARIES.items():
        if re.fullmatch(library, name) and not allowed(path, places):
            return f"<{name}> may not be included here"
    return None


def check_file(path):
    text = tree.read(path)
    for match in INCLUDE.finditer(text):
        kind, name = match.groups()
        if kind == "<":
            problem = check_library(path, name)
        else:
            target = resolve(path, name)
            problem = check_own(path, target) if target else f'"{name}" is no file of the tree'
        if problem:
            yield f"{path}:{tree.line_of(text, match.start(2))}: {problem}"
    plain = tree.without_comments(text)
    if not allowed(path, SHARED_FILES):
        for match in SHARED.finditer(plain):
            yield f"{path}:{tree.line_of(text, match.start())}: {match.group()} has no place here"
    if not path.startswith("src/edge/"):
        for match in ATOMIC.finditer(plain):
            yield f"{path}:{tree.line_of(text, match.start())}: only the edge has threads"


def check():
    problems = []
    for path in tree.files("include", "src"):
        if path.startswith("src/") and tree.layer(path) is None:
            problems.append(f"{path}: stands in no layer (tests/lint/tree.py)")
        else:
            problems += check_file(path)
    return problems
