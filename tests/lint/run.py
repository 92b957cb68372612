# SPDX-License-Identifier: Apache-2.0
"""`./dev lint [--fix] [NAME...]`: runs the checks, prints what is wrong, and fails if anything is. `--fix` first
formats the code and lists the sources."""
import sys

import alloy
import dashboards
import docs
import format as formatting
import layers
import observe
import packaging
import sizes
import sources
import symbols
import words

CHECKS = {"sources": sources, "layers": layers, "sizes": sizes, "symbols": symbols, "docs": docs,
          "words": words, "format": formatting, "observe": observe, "dashboards": dashboards, "alloy": alloy,
          "packaging": packaging}


def main(names):
    if "--fix" in names:
        names.remove("--fix")
        formatting.fix()
        sources.write()
    unknown = [n for n in names if n not in CHECKS]
    if unknown:
        sys.exit(f"lint: no check named {unknown[0]}; there are {', '.join(CHECKS)}")
    total = 0
    for name in names or CHECKS:
        problems = CHECKS[name].check()
        for problem in problems:
            print(f"{name}: {problem}")
        total += len(problems)
    print(f"lint: {total} problems" if total else "lint: clean")
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
