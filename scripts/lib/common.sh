# Sourced by the scripts: where things are, progress lines, running as root.
set -euo pipefail

repo_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly repo_root
readonly lib="$repo_root/scripts/lib"

# Bazel and apt-get work without HOME; a cache directory needs it.
if [[ -z ${HOME:-} ]]; then
  HOME=$(getent passwd "$(id -u)" | cut -d: -f6)
  export HOME="${HOME:-/var/tmp}"
fi
readonly cache_dir="${XDG_CACHE_HOME:-$HOME/.cache}/daxvmm"

# BAZEL may hold options too: BAZEL="bazel --output_base=/somewhere".
read -r -a bazel_command <<<"${BAZEL:-bazel}"
# "command", or the function would call itself.
bazel() { (cd "$repo_root" && command "${bazel_command[@]}" "$@"); }

# All progress goes to standard error: standard output is for results.
progress() { printf '[%4ds] %s\n' "$SECONDS" "$*" >&2; }
die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "needs root for: $* (run it as root, or install sudo)"
  fi
}
