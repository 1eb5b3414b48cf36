#!/bin/sh
# fresh.sh: shows that the project needs nothing but what it says: lays down a minimal Debian in a folder
# of its own, puts a clean clone of HEAD into it, and runs the demo and all tests there. As root.
#
#   SUITE=bookworm|trixie      which Debian (12 by default)
#   FRESH_CMD='make deps all'  what to run instead of 'make demo && make test'
#   FRESH_DIR=/var/tmp         where the folder is made; it takes about 3 GB
#
# Runs in mount and process namespaces of its own: whatever is mounted or started inside is gone when this
# ends, however it ends. Mirror, proxy and the like are those of this system's apt.
set -eu

if [ "${1:-}" != inside ]; then
    top=$(cd "$(dirname "$0")/../.." && pwd)
    [ "$(id -u)" -eq 0 ] || { echo 'fresh.sh: must be root' >&2; exit 1; }
    command -v debootstrap >/dev/null || { echo 'fresh.sh: needs the package debootstrap' >&2; exit 1; }
    root=$(mktemp -d "${FRESH_DIR:-/var/tmp}/gatehouse-fresh.XXXXXX")
    chmod 755 "$root"
    # The folder goes last, and nothing is mounted in it any more: the namespaces have ended.
    trap 'rm -rf --one-file-system "$root"' EXIT
    trap 'exit 130' HUP INT TERM
    code=0
    unshare --mount --pid --fork --kill-child sh "$top/tests/build/fresh.sh" inside "$top" "$root" || code=$?
    exit $code
fi

top=$2 root=$3
suite=${SUITE:-bookworm}
command=${FRESH_CMD:-make demo && make test}
say() { printf 'fresh: %s\n' "$*"; }

archive=$(sh "$top/deploy/mirror.sh" | awk '$1 == "archive" { print $2; exit }')
security=$(sh "$top/deploy/mirror.sh" | awk '$1 == "security" { print $2; exit }')
[ -n "$archive" ] || { echo 'fresh.sh: apt names no Debian mirror here' >&2; exit 1; }

say "a minimal Debian $suite"
mount --make-rprivate /
debootstrap --variant=minbase --include=make,ca-certificates --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
    "$suite" "$root" "$archive" >"$root.log" 2>&1 || { tail -n 30 "$root.log"; rm -f "$root.log"; exit 1; }
rm -f "$root.log"

{
    echo "deb $archive $suite main"
    echo "deb $archive $suite-updates main"
    [ -z "$security" ] || echo "deb $security $suite-security main"
} >"$root/etc/apt/sources.list"
# How this system reaches its mirror: a proxy, patience, dates.
apt-config dump Acquire | grep -iE 'Proxy|Check-|Retries|Timeout|https?::' >"$root/etc/apt/apt.conf.d/00host" || :
[ ! -d /etc/apt/auth.conf.d ] || cp -R /etc/apt/auth.conf.d "$root/etc/apt/"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || :

mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys" 2>/dev/null || :
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"

say "a clean clone of $(git -C "$top" rev-parse --short HEAD)"
git clone -q --no-hardlinks "$top" "$root/srv/gatehouse"
git -C "$root/srv/gatehouse" checkout -q --detach "$(git -C "$top" rev-parse HEAD)"

say "$command"
began=$(date +%s)
code=0
chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 TERM=dumb sh -c "cd /srv/gatehouse && $command" </dev/null || code=$?
say "ended with $code after $(($(date +%s) - began)) s"
exit $code
