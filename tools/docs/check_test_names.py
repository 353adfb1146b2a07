#!/usr/bin/env python3
"""Checks that every test case which docs/fuse_support.md names is one.

    check_test_names.py [ROOT]

A name in backquotes that is one word of at least two capitals, without an underscore, is taken for the name of a case.
Prints those that no test source has, and exits 1 if there is one, or if there are suspiciously few names at all.
"""

import os
import re
import sys

DOCUMENT = "docs/fuse_support.md"
NAMED = re.compile(r"`((?:[A-Z][a-z0-9]+|A(?=[A-Z]))(?:[A-Z][A-Za-z0-9]*)+)`")
# TEST(Suite, Case), and the first field of a row of a table of cases.
DEFINED = re.compile(r"\bTEST(?:_F|_P)?\(\s*\w+,\s*(\w+)\s*\)|\{\s*\"(\w+)\"")
FEWEST = 60


def test_sources(root):
    for folder, folders, files in os.walk(root):
        folders[:] = [f for f in folders if not f.startswith((".", "bazel-"))]
        for file in files:
            if file.endswith(("_test.cc", "_cases.cc")):
                yield os.path.join(folder, file)


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "."
    defined = set()
    for path in test_sources(root):
        with open(path, encoding="utf-8") as f:
            for match in DEFINED.finditer(f.read()):
                defined.add(match.group(1) or match.group(2))
    with open(os.path.join(root, DOCUMENT), encoding="utf-8") as f:
        named = sorted(set(NAMED.findall(f.read())))
    missing = [name for name in named if name not in defined]
    for name in missing:
        print("%s: no test case has the name %s" % (DOCUMENT, name))
    if len(named) < FEWEST:
        print("%s: only %d names found: has its form changed?" % (DOCUMENT, len(named)))
        return 1
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
