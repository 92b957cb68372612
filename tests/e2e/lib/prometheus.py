# SPDX-License-Identifier: Apache-2.0
"""A strict reader of the Prometheus text format 0.0.4."""

import re

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_SAMPLE = re.compile(rf"^({_NAME})(?:\{{(.*)\}})? ([^ ]+)$")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')


class Metrics:
    def __init__(self, text):
        self.text = text
        self.types, self.helps, self.samples = {}, {}, {}
        assert text.endswith("\n"), "the last line has no end"
        closed, current = set(), None
        for line in text[:-1].split("\n"):
            if line.startswith("# HELP "):
                name, _, doc = line[7:].partition(" ")
                assert name not in self.helps, f"two HELP lines for {name}"
                self.helps[name] = doc
                family = name
            elif line.startswith("# TYPE "):
                name, _, kind = line[7:].partition(" ")
                assert name not in self.types, f"two TYPE lines for {name}"
                assert kind in ("counter", "gauge", "histogram", "summary", "untyped"), line
                self.types[name] = kind
                family = name
            else:
                family = self._sample(line)
            if family != current:
                assert family not in closed, f"the lines of {family} are not together"
                closed.add(current)
                current = family

    def _sample(self, line):
        match = _SAMPLE.match(line)
        assert match, f"bad line {line!r}"
        name, raw, value = match[1], match[2] or "", float(match[3])
        labels, at = {}, 0
        while at < len(raw):
            label = _LABEL.match(raw, at)
            assert label, f"bad labels in {line!r}"
            labels[label[1]] = label[2].replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")
            at = label.end()
        key = (name, frozenset(labels.items()))
        assert key not in self.samples, f"twice: {line}"
        self.samples[key] = value
        for suffix in ("_bucket", "_sum", "_count"):
            base = name[: -len(suffix)] if name.endswith(suffix) else None
            if base and self.types.get(base) == "histogram":
                return base
        assert name in self.types, f"no TYPE before {line!r}"
        return name

    def series(self, name, **labels):
        """{labels: value} of the samples with at least these labels."""
        want = set(labels.items())
        return {k[1]: v for k, v in self.samples.items() if k[0] == name and want <= k[1]}

    def samples_of(self, family):
        """Label sets of every sample of a family, whatever its kind."""
        names = {family, f"{family}_bucket", f"{family}_sum", f"{family}_count"}
        return [k[1] for k in self.samples if k[0] in names]

    def sum(self, name, **labels):
        return sum(self.series(name, **labels).values())

    def one(self, name, **labels):
        found = self.series(name, **labels)
        assert len(found) == 1, f"{name}{labels}: {found}"
        return next(iter(found.values()))
