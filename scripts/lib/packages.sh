# Sourced: every Debian package that the project needs, and how they are installed. Nothing else lists them.

# To build everything, tests included.
readonly packages_build=(
  bazel-bootstrap
  libabsl-dev
  libre2-dev
  libncurses-dev
  prometheus-cpp-dev
  libprotobuf-dev protobuf-compiler
  libgrpc++-dev protobuf-compiler-grpc libssl-dev openssl
  libgtest-dev libgmock-dev
  libbenchmark-dev
)
# To lint. Versions by name: another one of clang-format formats otherwise, and clang 14 can't read libstdc++'s <ranges>.
readonly packages_lint=(clang-19 clang-tidy-19 clang-format-19)
# To put together a Linux guest: its user land, its modules, an ext4 image.
readonly packages_guest=(
  busybox-static
  kmod xz-utils zstd
  e2fsprogs
)
# That tests run: on a loopback mount, and tmux as a terminal for `daxvmmctl top`.
readonly packages_programs=(git sqlite3 gcc libc6-dev make fio stress-ng rsync attr acl tmux)
# That tests check what is installed with: manual pages and the systemd unit, which nothing here starts.
readonly packages_checks=(mandoc systemd)
# To run one level down, where the host's KVM cannot run kernels.
readonly packages_nested=(qemu-system-x86)
# For scripts/test --long only: to make a guest's root file system.
readonly packages_long=(debootstrap e2fsprogs)

# install_packages WHAT PACKAGE...: installs those that are missing; quick if none is.
install_packages() {
  local what=$1 package missing=()
  shift
  for package in "$@"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  progress "installing packages $what: ${missing[*]}"
  update_package_lists
  local log
  log=$(mktemp)
  if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" \
    >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    die "apt-get could not install: ${missing[*]}"
  fi
  rm -f "$log"
}

# Once per run of a script.
update_package_lists() {
  [[ -z ${package_lists_updated:-} ]] || return 0
  progress "updating the package lists"
  as_root apt-get update -qq >&2 || progress "apt-get update failed: going on with the lists at hand"
  package_lists_updated=1
}
