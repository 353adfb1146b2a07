"""Runs the rings of tests and counts their cases; see scripts/test, which starts it."""

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
import urllib.parse
import xml.etree.ElementTree as ElementTree

LIBRARY = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(LIBRARY))
BAZEL = shlex.split(os.environ.get("BAZEL", "bazel"))
RINGS = {1: "unit", 2: "device", 3: "loopback", 4: "micro-guest", 5: "Linux"}
# A target is of the ring that its tag "ringN" says, else of its folder's, else of ring 1.
FOLDERS = {"//tests/device": 2, "//tests/loopback": 3, "//tests/fs_conformance": 3, "//tests/microguest": 4, "//tests/linux": 5}
# What each is called, its options, and the tag of targets that it cannot judge.
SANITIZERS = {
    "asan and ubsan": (["--config=asan", "--config=ubsan"], "noasan"),
    "tsan": (["--config=tsan"], "notsan"),
}
# The whole has 40 minutes; a sanitizer's turn, which builds everything anew, starts only before this.
SANITIZER_START_LIMIT = 30 * 60
# Seconds for a program of ring 5.
LINUX_TIMEOUT = 900
LONG_TIMEOUT = 2 * 60 * 60
# With --long, for each test of Bazel's, which finds DAXVMM_LONG in its environment.
LONG_OPTIONS = ["--test_env=DAXVMM_LONG=1", "--test_timeout=3600"]
ONLY_LONG = "only with --long"
# scripts/lib/nested: QEMU itself stood still. Whatever else ends the outer machine may be the doing of what ran in it.
OUTER_MACHINE_STOOD_STILL = 123


class Count:
    """Cases that passed, failed and were skipped; what failed and why something was skipped."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures = []
        self.skips = []

    def add_xml(self, path, target):
        """Adds a test.xml; returns how many cases it holds."""
        found = 0
        for case in ElementTree.parse(path).getroot().iter("testcase"):
            name = "%s %s.%s" % (target, case.get("classname", ""), case.get("name"))
            skip = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                self.fail(name)
            elif skip is not None or case.get("result") == "skipped":
                message = (skip.get("message") or skip.text or "") if skip is not None else ""
                self.skip(name, " ".join(message.split()) or "no reason given")
            elif case.get("status") == "notrun":
                continue
            else:
                self.passed += 1
            found += 1
        return found

    def fail(self, name):
        self.failed += 1
        self.failures.append(name)

    def skip(self, name, reason):
        self.skipped += 1
        self.skips.append("%s: %s" % (name, reason))

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.failures += other.failures
        self.skips += other.skips

    def line(self):
        return "%d passed, %d failed, %d skipped" % (self.passed, self.failed, self.skipped)


def say(text):
    print(text, flush=True)


def package_patterns():
    """Every package, but not by "//...": that fails where a stale bazel-<folder> link points into another build."""
    patterns = ["//:all"]
    for entry in sorted(os.scandir(ROOT), key=lambda e: e.name):
        if entry.is_dir(follow_symlinks=False) and any("BUILD.bazel" in files for _, _, files in os.walk(entry.path)):
            patterns.append("//%s/..." % entry.name)
    return patterns


def test_targets():
    """{ring: [(label, rule class, tags)]}; what is tagged "manual" stays out, and so ring 5, which is no matter of Bazel's."""
    expression = 'kind(".*_test rule", %s)' % " + ".join(package_patterns())
    query = subprocess.run(BAZEL + ["query", "--output=xml", expression], cwd=ROOT, stdout=subprocess.PIPE, check=False)
    if query.returncode != 0:
        sys.exit("scripts/test: bazel query failed")
    targets = {ring: [] for ring in RINGS}
    for rule in ElementTree.fromstring(query.stdout).iter("rule"):
        tags = [item.get("value") for item in rule.findall("list[@name='tags']/string")]
        if "manual" in tags:
            continue
        label = rule.get("name")
        package = label.partition(":")[0]
        ring = next((number for folder, number in FOLDERS.items() if (package + "/").startswith(folder + "/")), 1)
        for number in RINGS:
            if "ring%d" % number in tags:
                ring = number
        targets[ring].append((label, rule.get("class"), tags))
    return targets


def run_bazel(targets, options, case_filter):
    """Runs test targets and counts their cases. A target without a result (its build failed) counts as one failure."""
    count = Count()
    if case_filter:
        targets = [target for target in targets if target[1] == "cc_test"]
        options = options + ["--test_filter=" + case_filter]
    labels = [label for label, _, _ in targets]
    if not labels:
        return count
    with tempfile.TemporaryDirectory() as tmp:
        events = os.path.join(tmp, "events.json")
        status = subprocess.call(
            BAZEL + ["test", "--keep_going", "--build_event_json_file=" + events, *options, "--", *labels], cwd=ROOT)
        results = {}
        try:
            with open(events, encoding="utf-8") as f:
                for row in f:
                    event = json.loads(row)
                    if "testResult" in event:
                        results[event["id"]["testResult"]["label"]] = event["testResult"]
        except FileNotFoundError:
            pass
        for label in labels:
            result = results.get(label)
            if result is None:
                count.fail(label + " (not built, or not run)")
                continue
            add_result(count, label, result, bool(case_filter))
    if status != 0 and count.failed == 0:
        count.fail("bazel test (exit status %d)" % status)
    return count


def run_sanitized(targets, options, unfit, case_filter):
    """run_bazel, but for the targets with the tag `unfit`, which are skipped."""
    count = run_bazel([target for target in targets if unfit not in target[2]], options, case_filter)
    for label, _, tags in targets:
        if unfit in tags:
            count.skip(label, "has the tag %s: not for this sanitizer; its BUILD file says why" % unfit)
    return count


def add_result(count, label, result, filtered):
    found = 0
    failed_before = count.failed
    for output in result.get("testActionOutput", []):
        if output["name"] == "test.xml":
            path = urllib.parse.unquote(urllib.parse.urlparse(output["uri"]).path)
            try:
                found += count.add_xml(path, label)
            except (OSError, ElementTree.ParseError):
                pass
    if result["status"] not in ("PASSED", "FLAKY"):
        if count.failed == failed_before:
            count.fail("%s (%s)" % (label, result["status"]))  # crashed, timed out, or left no XML
    elif found == 0 and not filtered:
        count.passed += 1


def run_linux(args):
    count = Count()
    kernel = (args.kernel, args.modules) if args.kernel else None
    if args.kernel_suite:
        kernel = suite_kernel(args.kernel_suite, count)
        if kernel is None:
            return count
    if not args.filter or case_names("//tests/linux:linux_test", args.filter):
        count.add(run_linux_program(args, "linux_test", ["--timeout", str(LINUX_TIMEOUT)], kernel))
        if kernel is None and (args.long or not args.filter):
            count.add(run_newer_kernel(args))
    names = case_names("//tests/linux:long_test", args.filter)
    if names and args.long:
        count.add(run_linux_program(args, "long_test", ["--timeout", str(LONG_TIMEOUT), "--rootfs"], kernel))
    elif names:
        for name in names:
            count.skip("//tests/linux:long_test " + name, ONLY_LONG)
    return count


def run_newer_kernel(args):
    """linux_test once more, on the newer kernel that the distribution's release can have."""
    count = Count()
    suite = platform.freedesktop_os_release().get("VERSION_CODENAME", "") + "-backports"
    if not args.long:
        count.skip("//tests/linux:linux_test on the kernel of " + suite, ONLY_LONG)
        return count
    kernel = suite_kernel(suite, count)
    if kernel is not None:
        say("ring 5: once more, on the kernel of " + suite)
        count.add(run_linux_program(args, "linux_test", ["--timeout", str(LINUX_TIMEOUT)], kernel))
    return count


def suite_kernel(suite, count):
    """(VMLINUZ, MODULES) of the suite's kernel; None if there is none, which counts as skipped then."""
    fetched = subprocess.run([os.path.join(LIBRARY, "fetch-kernel"), "--suite", suite], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, check=False)
    sys.stderr.write(fetched.stderr)
    if fetched.returncode == 0:
        found = dict(line.split("=", 1) for line in fetched.stdout.splitlines())
        return found["VMLINUZ"], found["MODULES"]
    reason = (fetched.stderr.strip().splitlines() or ["no reason given"])[-1]
    say("SKIPPED: " + reason)
    count.skip("//tests/linux on the kernel of " + suite, reason)
    return None


def case_names(label, case_filter):
    """The cases of a test that match, without running them; its label if it cannot be built."""
    if subprocess.call(BAZEL + ["build", "--show_result=0", label], cwd=ROOT, stderr=subprocess.DEVNULL) != 0:
        return ["(not built)"]
    info = subprocess.run(BAZEL + ["info", "bazel-bin"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          check=True)
    program = os.path.join(info.stdout.strip(), label[2:].replace(":", "/"))
    command = [program, "--gtest_list_tests"] + (["--gtest_filter=" + case_filter] if case_filter else [])
    names, suite = [], ""
    for line in subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines():
        name = line.partition("#")[0].strip()
        if line.startswith("  "):
            names.append(suite + name)
        else:
            suite = name
    return names


def run_linux_program(args, program, options, kernel):
    """`kernel` is (VMLINUZ, MODULES), or None for the distribution's own."""
    count = Count()
    label = "//tests/linux:" + program + (" on " + os.path.basename(kernel[0]) if kernel is not None else "")
    with tempfile.TemporaryDirectory() as tmp:
        report = os.path.join(tmp, program + ".xml")
        command = [os.path.join(LIBRARY, "with-kvm"), *options, "--output", "%s.xml:%s" % (program, report)]
        if kernel is not None:
            command += ["--kernel", kernel[0], "--modules", kernel[1]]
        command += [program, "--gtest_output=xml:@WORKDIR@/%s.xml" % program]
        if args.filter:
            command.append("--gtest_filter=" + args.filter)
        status = subprocess.call(command)
        if status == OUTER_MACHINE_STOOD_STILL and not os.path.exists(report):
            # Not a word about the code under test: once more, and say so.
            say("ring 5: the outer machine stood still before any result: once more")
            status = subprocess.call(command)
        found = 0
        try:
            found = count.add_xml(report, label)
        except (OSError, ElementTree.ParseError):
            pass
        if status != 0 and count.failed == 0:
            count.fail("%s (status %d%s)" % (label, status, "" if found else ", no report"))
    return count


def missing_need(ring):
    """Why this machine cannot run the ring at all; None if it can."""
    if ring == 3:
        if os.geteuid() != 0:
            return "needs root to mount"
        if not os.path.exists("/dev/fuse"):
            return "there is no /dev/fuse"
    if ring == 4 and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "there is no /dev/kvm that this user may open"
    return None


def parse_arguments():
    parser = argparse.ArgumentParser(prog="scripts/test")
    parser.add_argument("--ring", type=int, choices=sorted(RINGS), action="append")
    parser.add_argument("--filter", default="")
    parser.add_argument("--kernel")
    parser.add_argument("--modules")
    parser.add_argument("--kernel-suite")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--sanitizers", action="store_true", default=None)
    parser.add_argument("--no-sanitizers", action="store_false", dest="sanitizers")
    args = parser.parse_args()
    if bool(args.kernel) != bool(args.modules):
        parser.error("--kernel and --modules go together")
    if args.kernel:
        args.kernel, args.modules = os.path.abspath(args.kernel), os.path.abspath(args.modules)
        if args.ring != [5]:
            parser.error("--kernel and --modules go with --ring 5")
    if args.kernel_suite and (args.kernel or args.ring != [5]):
        parser.error("--kernel-suite goes with --ring 5, and without --kernel")
    if args.sanitizers is None:
        args.sanitizers = not args.ring and not args.filter
    args.ring = sorted(set(args.ring or RINGS))
    return args


def run_rings(args, start):
    """{title: Count} in the order they ran."""
    counts = {}
    targets = test_targets()
    long_options = LONG_OPTIONS if args.long else []

    def run(title, action):
        say("\n==== %s" % title)
        began = time.monotonic()
        count = counts[title] = action()
        say("---- %s: %s in %d s" % (title, count.line(), time.monotonic() - began))

    def skipped(title, reason):
        counts[title] = Count()
        counts[title].skip(title, reason)
        say("\n==== %s: SKIPPED: %s" % (title, reason))

    for ring in args.ring:
        title = "ring %d (%s)" % (ring, RINGS[ring])
        reason = missing_need(ring)
        if reason is not None:
            skipped(title, reason)
        elif ring == 5:
            run(title, lambda: run_linux(args))
        elif not targets[ring]:
            skipped(title, "it has no tests")
        else:
            run(title, lambda: run_bazel(targets[ring], long_options, args.filter))
    if args.sanitizers:
        inner = [target for ring in (1, 2) if ring in args.ring for target in targets[ring]]
        for name, (options, unfit) in SANITIZERS.items():
            title = "rings 1 and 2 under " + name
            if time.monotonic() - start > SANITIZER_START_LIMIT and not args.long:
                skipped(title, "no time left (%d minutes have passed)" % ((time.monotonic() - start) / 60))
            else:
                run(title, lambda: run_sanitized(inner, options, unfit, args.filter))
    return counts


def main():
    args = parse_arguments()
    start = time.monotonic()
    counts = run_rings(args, start)
    total = Count()
    say("\n==== Summary after %d s" % (time.monotonic() - start))
    for title, count in counts.items():
        say("%-45s %s" % (title, count.line()))
        total.add(count)
    for skip in total.skips:
        say("SKIPPED: " + skip)
    for failure in total.failures:
        say("FAILED: " + failure)
    if args.filter and total.passed + total.failed + total.skipped == 0:
        total.fail("--filter")
        say("FAILED: no case matches '%s'" % args.filter)
    say(total.line())
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
