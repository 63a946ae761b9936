# shellcheck shell=bash
# Shared by the scripts in this folder: source it, do not run it.
# Environment: SENTINEL_JOBS sets the number of parallel jobs, SENTINEL_SKIP_INSTALL=1 never
# calls apt (for systems other than Debian where the libraries are already there).

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)

die() {
  echo "error: $*" >&2
  exit 1
}

say() { echo "== $*" >&2; }

# package_names FILE...: the first word of every line that is not a comment.
package_names() { awk '!/^[[:space:]]*(#|$)/ {print $1}' "$@"; }

# missing_packages NAME...: those that dpkg does not have installed.
missing_packages() {
  local installed name
  installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true)
  for name in "$@"; do
    grep -qxF "installed $name" <<<"$installed" || echo "$name"
  done
}

# as_root COMMAND...
as_root() {
  if [[ $(id -u) -eq 0 ]]; then
    "$@"
  else
    sudo "$@"
  fi
}

apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
    -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 "$@" >&2
}

# install_packages FILE...: installs what is missing of the listed packages. Needs neither the
# network nor rights when nothing is.
install_packages() {
  [[ ${SENTINEL_SKIP_INSTALL:-} == 1 ]] && return 0
  local names missing
  mapfile -t names < <(package_names "$@")
  local elsewhere="install the equivalents of scripts/packages.txt, then set SENTINEL_SKIP_INSTALL=1"
  command -v dpkg-query >/dev/null || die "this is not Debian (no dpkg): $elsewhere"
  mapfile -t missing < <(missing_packages "${names[@]}")
  [[ ${#missing[@]} -eq 0 ]] && return 0

  command -v apt-get >/dev/null || die "no apt-get to install ${missing[*]} with: $elsewhere"
  if [[ $(id -u) -ne 0 ]] && ! command -v sudo >/dev/null; then
    die "neither root nor sudo: as root, run: apt-get install ${missing[*]}"
  fi
  say "installing from Debian: ${missing[*]}"
  apt_get update || die "apt-get update failed: check the network and /etc/apt/sources.list"
  apt_get install --no-install-recommends "${missing[@]}" ||
    die "apt-get could not install ${missing[*]}: see the lines above (Debian 12 or newer is needed)"
}

# Parallel jobs: one per core, but no more than free memory allows at about 1 GB a compiler.
jobs_here() {
  if [[ -n ${SENTINEL_JOBS:-} ]]; then
    [[ $SENTINEL_JOBS =~ ^[1-9][0-9]{0,3}$ ]] || die "SENTINEL_JOBS must be a number from 1 on"
    echo "$SENTINEL_JOBS"
    return
  fi
  local cores kb
  cores=$(nproc)
  kb=$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo 2>/dev/null || true)
  local by_memory=$((${kb:-1048576} / 1048576))
  ((by_memory >= 1)) || by_memory=1
  echo $((cores < by_memory ? cores : by_memory))
}

# ThreadSanitizer of GCC 12 cannot map its shadow memory when the kernel randomises addresses
# widely, so its programs (which the build also runs, to list the tests) start without that.
for_preset() {
  local preset=$1
  shift
  if [[ $preset == tsan ]] && setarch -R true 2>/dev/null; then
    setarch -R "$@"
  else
    "$@"
  fi
}

# build PRESET [TARGET...]: configures and builds in build/PRESET.
build() {
  local preset=$1 cache fresh=()
  shift
  cache=$root/build/$preset/CMakeCache.txt
  if [[ -e $root/build/$preset && ! -w $root/build/$preset ]]; then
    die "build/$preset belongs to $(stat -c %U "$root/build/$preset"): run as that user or remove it"
  fi
  # A tree that was copied or moved brings a cache that CMake refuses.
  if [[ -f $cache ]] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$cache"; then
    fresh=(--fresh)
  fi
  say "building preset $preset in build/$preset"
  (
    cd "$root"
    cmake "${fresh[@]}" --preset "$preset" >&2 &&
      for_preset "$preset" cmake --build --preset "$preset" -j "$(jobs_here)" \
        ${1:+--target "$@"} >&2
  ) || die "the build of preset $preset failed: see the lines above"
}
