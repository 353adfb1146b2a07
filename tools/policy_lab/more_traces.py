#!/usr/bin/env python3
"""Writes traces beyond the lab's own, against which the adaptive policy was checked once it had a first form.

    more_traces.py DIRECTORY

Each is a file NAME.trace there, for scripts/policy-lab --trace. The same each time.
"""

import os
import random
import sys

KIB = 1024
MIB = 1024 * KIB


def write(folder, name, files, operations):
    with open(os.path.join(folder, name + ".trace"), "w", encoding="utf-8") as f:
        for file, size in files:
            f.write("file %s %d\n" % (file, size))
        f.write("\n".join(operations) + "\n")


def transaction(rng, file, size, write_share):
    offset = rng.randrange(size // 8192) * 8192
    return "%s %s %d 8192" % ("write" if rng.random() < write_share else "read", file, offset)


def read_whole(file, mib):
    return ["open " + file] + ["read %s %d %d" % (file, i * MIB, MIB) for i in range(mib)] + ["close " + file]


def database(rng, names, size, count, share, every, pause):
    operations = []
    for i in range(count):
        operations.append(transaction(rng, rng.choice(names), size, share))
        if i % every == 0:
            operations.append("think %d" % pause)
    return operations


def big_database(rng):
    names = ["d%d" % i for i in range(4)]
    return [(n, 20 * MIB) for n in names], ["open " + n for n in names] + database(
        rng, names, 20 * MIB, 200000, 0.3, 100, 20000)


def read_once(mib, count):
    operations = []
    for i in range(count):
        operations += read_whole("s%d" % i, mib)
        if i % 10 == 0:
            operations.append("think 100000")
    return [("s%d" % i, mib * MIB) for i in range(count)], operations


def big_scan():
    operations = []
    for _ in range(3):
        operations.append("open big")
        for i in range(1024):
            operations.append("read big %d %d" % (i * MIB, MIB))
            if i % 16 == 0:
                operations.append("think 20000")
        operations.append("close big")
    return [("big", 1024 * MIB)], operations


def late_database(rng):
    operations = []
    for i in range(40):
        operations += read_whole("s%d" % i, 4) + ["think 100000"]
    operations += ["open d"] + database(rng, ["d"], 16 * MIB, 100000, 0.3, 100, 20000)
    return [("s%d" % i, 4 * MIB) for i in range(40)] + [("d", 16 * MIB)], operations


def phases(rng):
    libraries = [("l%d" % i, rng.randrange(256 * KIB, 6 * MIB)) for i in range(15)]
    operations = []
    streamed = 0
    for _ in range(2):
        operations += ["open d"] + database(rng, ["d"], 14 * MIB, 20000, 0.3, 100, 50000) + ["close d"]
        for _ in range(150):
            operations += read_whole("s%d" % streamed, 8) + ["think 60000"]
            streamed += 1
        for _ in range(300):
            mapped = rng.sample(libraries, 6)
            operations += ["open " + name for name, _ in mapped]
            for name, size in mapped:
                operations += ["touch %s %d 16384" % (name, at) for at in range(0, size - 16384, 128 * KIB)]
            operations += ["close " + name for name, _ in mapped] + ["think 30000"]
    return [("d", 14 * MIB)] + [("s%d" % i, 8 * MIB) for i in range(streamed)] + libraries, operations


def transactions(rng):
    operations = []
    for i in range(20000):
        name = "d%d" % rng.randrange(8)
        operations += ["open " + name] + [transaction(rng, name, 5 * MIB, 0.5) for _ in range(4)] + ["close " + name]
        if i % 10 == 0:
            operations.append("think 10000")
    return [("d%d" % i, 5 * MIB) for i in range(8)], operations


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    rng = random.Random(7)
    for name, (files, operations) in (
            ("big_database", big_database(rng)), ("files_of_1_mib", read_once(1, 3000)),
            ("files_of_3_mib", read_once(3, 1000)), ("big_scan", big_scan()), ("late_database", late_database(rng)),
            ("phases", phases(rng)), ("transactions", transactions(rng))):
        write(sys.argv[1], name, files, operations)


if __name__ == "__main__":
    main()
