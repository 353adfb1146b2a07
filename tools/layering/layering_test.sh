#!/bin/bash
# Runs the include check on the sources themselves, not on the copies that Bazel would have to be told of one by one.
set -eu
here=$(dirname "$(readlink -f "$0")")
exec python3 "$here/check_includes.py" --self-test "$here/../.."
