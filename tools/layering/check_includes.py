#!/usr/bin/env python3
"""Checks that every #include keeps to the layers that ARCHITECTURE.md draws.

    check_includes.py [--self-test] [ROOT]

Prints each include that breaks a rule and exits 1 if there is one. Bazel's visibility says who may depend on whom; this
says the same of the text, where a header that is always visible on the machine (<linux/kvm.h>) would slip through.
"""

import os
import re
import sys
import tempfile

# Folder -> prefixes that its sources may include. The longest matching folder counts.
MAY_INCLUDE = {
    "base": ["base/"],
    "memory": ["memory/", "base/"],
    "devices": ["devices/bus.h", "base/"],
    "devices/serial": ["devices/serial/", "devices/bus.h", "base/"],
    "devices/platform": ["devices/platform/", "devices/bus.h", "base/"],
    "devices/virtio": ["devices/virtio/", "devices/bus.h", "memory/", "base/"],
    "devices/virtio_fs": ["devices/virtio_fs/", "devices/virtio/", "memory/", "base/"],
    "devices/virtio_fs/fuse": ["devices/virtio_fs/fuse/", "memory/", "base/"],
    "devices/virtio_fs/fs": ["devices/virtio_fs/fs/", "devices/virtio_fs/fuse/", "memory/", "base/"],
    "devices/virtio_fs/dax": ["devices/virtio_fs/dax/", "devices/virtio_fs/fuse/", "memory/", "base/"],
    "control": ["control/", "proto/", "devices/virtio_fs/dax/policy", "devices/virtio_fs/dax/convergence.h", "base/"],
    "control/metrics": ["control/metrics/", "control/controller.h", "control/metrics_snapshot.h", "control/library",
                        "control/server_abi.h", "control/control_socket.h", "control/text.h", "control/json_reader.h",
                        "control/testing/fake_controller.h", "base/"],
    "vmm": ["vmm/", "control/audit_log", "control/console_log.h", "control/controller.h", "control/control_socket.h",
            "control/event_log.h", "control/file_query.h", "control/machine_state.h", "control/metrics/endpoint.h",
            "control/metrics/loader.h", "control/policy_file", "control/saved_policy.h", "control/server_loader.h",
            "control/server_options.h", "control/state_directory.h", "control/tcp_listener.h", "devices/", "memory/",
            "base/"],
    "vmm/kvm": ["vmm/kvm/", "memory/", "base/"],
    "vmm/boot": ["vmm/boot/", "vmm/layout.h", "memory/", "base/"],
    "vmm/acpi": ["vmm/acpi/", "vmm/layout.h", "memory/", "base/"],
    "tools/man_pages": ["vmm/run_man_page.h", "control/ctl/man_page.h", "base/"],
    "tools/policy_lab": ["tools/policy_lab/", "devices/virtio_fs/dax/adaptive", "base/"],
    "tools/proto_compat": ["tools/proto_compat/"],
    "benchmarks": ["base/", "memory/", "devices/", "vmm/", "control/", "tests/device/", "tests/fakes/", "tests/loopback/"],
    "examples": ["base/", "memory/", "devices/", "vmm/", "control/", "proto/"],
}
# Test sources may use the fakes, wherever they stand.
TEST_EXTRA = ["tests/"]
# Folders that may include anything.
FREE = ["tests"]
ROOMS = ("base/", "memory/", "devices/", "vmm/", "control/", "proto/", "tests/", "benchmarks/", "examples/", "tools/")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]', re.MULTILINE)


def rules_of(path):
    folder = os.path.dirname(path)
    while folder:
        if folder in FREE:
            return None
        if folder in MAY_INCLUDE:
            return MAY_INCLUDE[folder]
        folder = os.path.dirname(folder)
    return None


def complaints(path, text):
    """Yields what is wrong with the includes of one source file."""
    allowed = rules_of(path)
    free = path.split("/")[0] in FREE
    is_test = path.endswith(("_test.cc", "_test_util.h", "_test_util.cc"))
    for _, included in INCLUDE.findall(text):
        if included == "linux/kvm.h" and path != "vmm/kvm/kvm_abi.h" and not free:
            yield "<linux/kvm.h> belongs to vmm/kvm/kvm_abi.h alone"
        if included.endswith(".pb.h") and included.startswith("proto/") and not free and not path.startswith(("control/", "examples/")):
            yield "%s: generated protobuf code belongs to control/" % included
        if allowed is None or not included.startswith(ROOMS):
            continue
        extra = TEST_EXTRA if is_test else []
        if not any(included.startswith(prefix) for prefix in allowed + extra):
            yield "may not include %s" % included


def sources(root):
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith((".", "bazel-")) and f != "third_party")
        for name in sorted(files):
            if name.endswith((".h", ".cc", ".c")):
                yield os.path.relpath(os.path.join(folder, name), root)


def check(root):
    count = bad = 0
    for path in sources(root):
        count += 1
        with open(os.path.join(root, path), encoding="utf-8") as f:
            for complaint in complaints(path, f.read()):
                bad += 1
                print("%s: %s" % (path, complaint))
    print("%d sources, %d includes that break a rule" % (count, bad))
    return count, bad


def self_test():
    """The check must see what it is for."""
    with tempfile.TemporaryDirectory() as root:
        broken = {
            "base/a.h": '#include "memory/guest_memory.h"\n',
            "devices/virtio_fs/fs/a.cc": '#include "devices/virtio_fs/dax/policy.h"\n',
            "devices/virtio_fs/dax/a.cc": '#include "devices/virtio_fs/fs/inode_table.h"\n',
            "devices/virtio_fs/fuse/a.cc": '#include "devices/virtio/virtqueue.h"\n',
            "devices/virtio/a.cc": '#include "devices/virtio_fs/fuse/abi.h"\n',
            "devices/serial/a.cc": "#include <linux/kvm.h>\n",
            "vmm/a.cc": '#include "proto/daxvmm/v1/daxvmm.pb.h"\n',
            "control/a.cc": '#include "vmm/machine.h"\n',
            "control/metrics/a.cc": '#include "control/control_server.h"\n',
            "memory/a.cc": '#include "tests/fakes/guest_ram.h"\n',
        }
        fine = {
            "tests/x/a.cc": '#include "vmm/machine.h"\n#include <linux/kvm.h>\n',
            "devices/virtio_fs/a.cc": '#include "devices/virtio_fs/fs/a.h"\n#include "devices/virtio_fs/dax/a.h"\n',
            "devices/virtio/a_test.cc": '#include "tests/fakes/guest_ram.h"\n',
        }
        for path, text in {**broken, **fine}.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as f:
                f.write(text)
        seen = {path for path in sources(root) for _ in complaints(path, {**broken, **fine}[path])}
        missed = set(broken) - seen
        wrong = seen - set(broken)
        if missed or wrong:
            sys.exit("self-test: not seen: %s; wrongly seen: %s" % (sorted(missed), sorted(wrong)))


def main():
    arguments = sys.argv[1:]
    if arguments and arguments[0] == "--self-test":
        self_test()
        arguments = arguments[1:]
    root = arguments[0] if arguments else os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..")
    count, bad = check(root)
    sys.exit(0 if count > 0 and bad == 0 else 1)


if __name__ == "__main__":
    main()
