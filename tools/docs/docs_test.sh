#!/bin/bash
# Checks the documents against the sources themselves, not against copies that Bazel would have to be told of one by one.
set -eu
here=$(dirname "$(readlink -f "$0")")
exec python3 "$here/check_test_names.py" "$here/../.."
