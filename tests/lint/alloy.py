# SPDX-License-Identifier: Apache-2.0
"""deploy/loki/config.alloy, which only Alloy itself could fully check: its syntax, that components exist and are wired together,
each stage's arguments by Alloy's documentation, and the regular expression against lines such as the program writes."""
import json
import re

import tree

PATH = "deploy/loki/config.alloy"
TOKEN = re.compile(r'\s+|//[^\n]*|(?P<string>"(?:\\.|[^"\\\n])*")|(?P<name>[A-Za-z_][\w.]*)|(?P<sign>[{}\[\]=,])|(?P<odd>.)')
# Arguments of each block: those it must have, and those it may.
BLOCKS = {
    "local.file_match": ({"path_targets"}, set()),
    "loki.source.file": ({"targets", "forward_to"}, {"tail_from_end"}),
    "loki.process": ({"forward_to"}, set()),
    "loki.write": (set(), set()),
    "endpoint": ({"url"}, set()),
    "stage.json": ({"expressions"}, set()),
    "stage.timestamp": ({"source", "format"}, set()),
    "stage.regex": ({"expression"}, {"source"}),
    "stage.template": ({"source", "template"}, set()),
    "stage.labels": ({"values"}, set()),
    "stage.label_drop": ({"values"}, set()),
}
EXPORTS = {"local.file_match": "targets", "loki.process": "receiver", "loki.write": "receiver"}
LABELS = {"service", "route", "code", "level"}
LINES = [('{"path":"/a","status":200,"bytes_in":0}', "2"), ('{"path":"/\\"status\\":5","status":404,"bytes_in":0}', "4")]


class Reader:
    """Alloy's grammar, as far as it is used: blocks, attributes, strings, lists, maps and references."""

    def __init__(self, text):
        self.tokens = [(m.lastgroup, m.group()) for m in TOKEN.finditer(text) if m.lastgroup]
        self.at = 0

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else (None, "the end")

    def take(self, kind=None, text=None):
        found = self.peek()
        if (kind and found[0] != kind) or (text and found[1] != text):
            raise ValueError(f"{text or kind} is missing before {found[1]}")
        self.at += 1
        return found[1]

    def body(self, end):
        blocks, values = [], {}
        while self.peek()[1] != end and self.peek()[0]:
            name = self.take("name")
            if self.peek()[1] == "=":
                self.take()
                values[name] = self.value()
            else:
                label = json.loads(self.take()) if self.peek()[0] == "string" else None
                self.take(text="{")
                blocks.append((name, label, *self.body("}")))
                self.take(text="}")
        return blocks, values

    def value(self):
        kind, text = self.peek()
        if kind in ("string", "name"):
            self.take()
            return json.loads(text) if kind == "string" else ("reference", text)
        return self.listing() if text == "[" else self.mapping()

    def listing(self):
        self.take(text="[")
        found = []
        while self.peek()[1] != "]":
            found.append(self.value())
            if self.peek()[1] != "]":
                self.take(text=",")
        self.take(text="]")
        return found

    def mapping(self):
        self.take(text="{")
        found = {}
        while self.peek()[1] != "}":
            key = json.loads(self.take("string"))
            self.take(text="=")
            found[key] = self.value()
            if self.peek()[1] != "}":
                self.take(text=",")
        self.take(text="}")
        return found


def references(value):
    if isinstance(value, tuple):
        yield value[1]
    for inner in value if isinstance(value, list) else value.values() if isinstance(value, dict) else []:
        yield from references(inner)


def check_block(block, exports):
    name, _, blocks, values = block
    if name not in BLOCKS:
        yield f"no component or stage {name} is known here"
        return
    must, may = BLOCKS[name]
    if not must <= set(values) <= must | may:
        yield f"{name}: arguments that are missing or odd: {', '.join(sorted(must ^ set(values)))}"
    for reference in references(values):
        if reference not in exports:
            yield f"{name}: nothing exports {reference}"
    for inner in blocks:
        yield from check_block(inner, exports)


def check_stages(stages):
    """Each value that a stage takes has been extracted before; labels are few."""
    extracted = set()
    for name, _, _, values in stages:
        if name == "stage.json":
            extracted |= set(values["expressions"])
        elif name == "stage.regex":
            extracted |= set(re.findall(r"\(\?P<(\w+)>", values["expression"]))
            for line, digit in LINES:
                found = re.search(values["expression"], line)
                if not found or found.group(1) != digit:
                    yield f"the expression does not find {digit} in {line}"
        elif name == "stage.template":
            if not set(re.findall(r"\.(\w+)", values["template"])) <= extracted:
                yield f"{values['source']}: its template uses what was not extracted"
            extracted.add(values["source"])
        elif name == "stage.labels":
            if set(values["values"]) != LABELS or not set(values["values"].values()) <= extracted:
                yield f"labels are {', '.join(values['values'])}; they are to be {', '.join(sorted(LABELS))}, all extracted before"


def check():
    try:
        blocks, values = Reader(tree.read(PATH)).body(None)
    except ValueError as error:
        return [f"{PATH}: {error}"]
    exports = {f"{name}.{label}.{EXPORTS[name]}" for name, label, *_ in blocks if name in EXPORTS}
    problems = [p for block in blocks for p in check_block(block, exports)]
    stages = [inner for name, _, inner, _ in blocks if name == "loki.process" for inner in inner]
    if values or not stages:
        problems.append("wants components alone, and one of them loki.process")
    return [f"{PATH}: {p}" for p in [*problems, *check_stages(stages)]]
