#!/usr/bin/env bash
# Shows that a bare Debian 12 with only git is enough: makes an empty system in a folder, clones
# this repository's HEAD into it and runs the README's commands there, the last time offline.
#   sudo tools/fresh_machine.sh [--mirror URL] [--host-apt] [--suite NAME] DIR [COMMAND...]
# DIR is made with debootstrap when it holds no system yet, and kept for the next run.
# --host-apt copies this machine's apt settings and certificates into the tree (proxies).
# COMMAND replaces the default: scripts/demo; scripts/test; scripts/demo without a network.
set -euo pipefail

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
mirror=http://deb.debian.org/debian
suite=bookworm
host_apt=0

die() {
  echo "error: $*" >&2
  exit 2
}

while [[ ${1:-} == --* ]]; do
  case $1 in
    --mirror) mirror=${2:?--mirror needs an address} && shift 2 ;;
    --suite) suite=${2:?--suite needs a name} && shift 2 ;;
    --host-apt) host_apt=1 && shift ;;
    --help) sed -n '2,8s/^# //p' "${BASH_SOURCE[0]}" && exit ;;
    *) die "unknown option $1: see --help" ;;
  esac
done
[[ $# -ge 1 ]] || die "name the folder for the system: see --help"
dir=$1
shift
[[ $(id -u) -eq 0 ]] || die "making a system needs root: run with sudo"
command -v debootstrap >/dev/null || die "no debootstrap: apt-get install debootstrap"

if [[ ! -e $dir/etc/debian_version ]]; then
  debootstrap --variant=minbase --include=git "$suite" "$dir" "$mirror"
fi
if [[ $host_apt == 1 ]]; then
  cp -r /etc/apt/apt.conf.d/. "$dir/etc/apt/apt.conf.d/"
  for certificates in /etc/ssl/certs /usr/local/share/ca-certificates; do
    [[ -d $certificates ]] && mkdir -p "$dir$certificates" && cp -rL "$certificates/." "$dir$certificates/"
  done
fi
cp -L /etc/resolv.conf "$dir/etc/resolv.conf"

git -C "$root" bundle create -q "$dir/root/sentinel.bundle" HEAD

# Runs bash with a script in the tree: own mounts, a clean environment, further options to unshare.
inside() {
  local script=$1
  shift
  unshare --mount --fork "$@" bash -c '
    mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" &&
      exec chroot "$1" /usr/bin/env -i HOME=/root TERM=dumb LANG=C.UTF-8 \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        /bin/bash -euo pipefail -c "$2"' inside "$dir" "$script"
}

echo "== packages in the tree: $(inside 'dpkg-query -W | wc -l')"
inside 'rm -rf /root/sentinel && git -c advice.detachedHead=false clone -q /root/sentinel.bundle /root/sentinel &&
  git -C /root/sentinel log -1 --format="== commit %h %s"'
if [[ $# -gt 0 ]]; then
  inside "cd /root/sentinel && $*"
  exit
fi
inside '/root/sentinel/scripts/demo'
inside 'cd /tmp && /root/sentinel/scripts/test'
echo "== again, without a network"
inside '/root/sentinel/scripts/demo' --net
