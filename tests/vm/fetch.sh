#!/bin/sh
# fetch.sh: brings the boot chain of the measured boot to .deps/vm: Debian's signed shim, GRUB and kernel, fetched
# with apt, which verifies them, and unpacked, not installed. Once; REFRESH=1 asks for newer ones.
#
#   .deps/vm/shimx64.efi, grubx64.efi, vmlinuz     what boots, signed
#   .deps/vm/modules/                              kernel modules, uncompressed, in load order
#   .deps/vm/versions                              the packages that they are of
set -eu

cd "$(dirname "$0")/../.."
mkdir -p "${DEPS_DIR:-.deps}"
deps=$(cd "${DEPS_DIR:-.deps}" && pwd -P)
chain=$deps/vm

die() { printf 'fetch.sh: %s\n' "$*" >&2; exit 1; }

# What the machine needs of its kernel's modules: its disk and the channel to the host.
modules='virtio_pci virtio_blk virtio_console'

exec 9>"$deps/lock"
flock 9
[ ! -s "$chain/versions" ] || [ "${REFRESH:-0}" = 1 ] || exit 0

[ "$(dpkg --print-architecture)" = amd64 ] || die 'the machine is an amd64 one'
PATH=$PATH:/usr/sbin:/sbin
for tool in depmod modprobe; do
    command -v $tool >/dev/null || die "$tool is missing: DEPS=vm sh deploy/deps.sh brings it"
done

# The kernel is what its meta-package depends on. Package lists that are missing or old are read once more.
kernel_package() { apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '$1 == "Depends:" { print $2; exit }'; }
download() {
    kernel=$(kernel_package)
    [ -n "$kernel" ] || return 1
    (cd "$work/debs" && apt-get -q -o APT::Sandbox::User=root download shim-signed grub-efi-amd64-signed "$kernel" >&2)
}
update() { [ "$(id -u)" -eq 0 ] && apt-get -o DPkg::Lock::Timeout=600 -q update >&2; }

work=$deps/vm.$$
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p "$work/debs" "$work/tree" "$work/out/modules"
download || { update && download; } || die 'apt could not fetch the boot chain: as root, apt-get update may help'
for package in "$work"/debs/*.deb; do
    dpkg-deb -x "$package" "$work/tree"
    dpkg-deb -W --showformat='${Package} ${Version}\n' "$package"
done >"$work/versions"

cp "$work/tree/usr/lib/shim/shimx64.efi.signed" "$work/out/shimx64.efi"
cp "$work/tree/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed" "$work/out/grubx64.efi"
cp "$work"/tree/boot/vmlinuz-* "$work/out/vmlinuz"

# Modules are below /lib or /usr/lib, and may be compressed; those that the kernel has built in are not there.
base=$work/tree
[ -d "$base/lib/modules" ] || base=$base/usr
release=$(ls "$base/lib/modules")
depmod -b "$base" "$release"
number=10
for module in $modules; do
    modprobe -d "$base" -S "$release" --show-depends "$module" 2>/dev/null || :
done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$work/order"
while read -r file; do
    name=$number-$(basename "${file%.xz}")
    case $file in
    *.xz) xz -dc "$file" >"$work/out/modules/$name" ;;
    *) cp "$file" "$work/out/modules/$name" ;;
    esac
    number=$((number + 1))
done <"$work/order"
[ $number -gt 10 ] || die "the kernel $release has none of: $modules"

mv "$work/versions" "$work/out/versions"
rm -rf "$chain"
mv "$work/out" "$chain"
printf 'fetch.sh: %s\n' "$(paste -s -d, "$chain/versions" | sed 's/,/, /g')"
