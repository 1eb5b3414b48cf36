#!/bin/sh
# image.sh: what the machine boots. The same inputs make the same bytes.
#
#   image.sh initramfs OUT [FILE...]         busybox, tpm2-tools, curl, jq, openssl, init, and the device client as
#                                            make install-device has it; each FILE is put into its /etc besides
#   image.sh disk OUT INITRAMFS COMMAND-LINE a disk with an EFI partition: signed shim, GRUB and kernel as
#                                            fetch.sh brought them, and the initramfs
#
# BUILD is where relay was built. Needs no root: nothing is mounted.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
chain=${DEPS_DIR:-$root/.deps}/vm
BUILD=${BUILD:-build}
case $BUILD in /*) relay=$BUILD/tests/vm/relay ;; *) relay=$root/$BUILD/tests/vm/relay ;; esac
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C TZ=UTC0 SOURCE_DATE_EPOCH=1700000000

die() { printf 'image.sh: %s\n' "$*" >&2; exit 1; }

# --- the initramfs -----------------------------------------------------------------------------------

libraries=/usr/lib/x86_64-linux-gnu

# with FILE...: the shared libraries that these need join the tree, and the loader.
with_libraries() {
    ldd "$@" 2>/dev/null | awk '$3 ~ /^\// { print $3 } $1 ~ /^\/.*ld-linux/ { print $1 }' | sort -u |
        while read -r library; do
            case $library in
            */ld-linux*) cp -L "$library" "$tree/usr/lib64/" ;;
            *) cp -L "$library" "$tree$libraries/" ;;
            esac
        done
}

make_tree() {
    mkdir -p "$tree/dev" "$tree/proc" "$tree/sys" "$tree/run" "$tree/tmp" "$tree/root" "$tree/etc/ssl" "$tree/modules" \
        "$tree/usr/bin" "$tree/usr/lib64" "$tree$libraries/ossl-modules"
    for folder in bin lib lib64; do
        ln -s usr/$folder "$tree/$folder"
    done
    ln -s bin "$tree/usr/sbin"
    busybox=$(command -v busybox)
    cp "$busybox" "$tree/usr/bin/busybox"
    for name in $("$busybox" --list); do
        [ "$name" = busybox ] || ln -s busybox "$tree/usr/bin/$name"
    done
    for program in tpm2 curl jq openssl; do
        cp -L "$(command -v $program)" "$tree/usr/bin/$program"
    done
    cp "$relay" "$tree/usr/bin/relay"
    # Loaded by name at run time: the way to /dev/tpmrm0, and the TPM's keys for OpenSSL.
    cp -L $libraries/libtss2-tcti-device.so.0 "$tree$libraries/"
    cp $libraries/ossl-modules/tpm2.so "$tree$libraries/ossl-modules/"
    with_libraries "$tree"/usr/bin/busybox "$tree"/usr/bin/relay "$tree"/usr/bin/tpm2 "$tree"/usr/bin/curl "$tree"/usr/bin/jq \
        "$tree"/usr/bin/openssl "$tree$libraries"/libtss2-tcti-device.so.0 "$tree$libraries"/ossl-modules/tpm2.so
    cp -L /etc/ssl/openssl.cnf "$tree/etc/ssl/"
    mkdir -p "$tree/usr/lib/ssl"
    ln -s /etc/ssl/openssl.cnf "$tree/usr/lib/ssl/openssl.cnf"
    cp "$chain"/modules/*.ko "$tree/modules/"
    cp "$root/tests/vm/init" "$tree/init"
    chmod 755 "$tree/init"
    env -u MAKEFLAGS -u MFLAGS make -s -C "$root" install-device DESTDIR="$tree" PREFIX=/usr
    ln -s /run/disk/gatehouse-device.conf "$tree/etc/gatehouse-device.conf"
}

initramfs() {
    out=$1
    shift
    tree=$(mktemp -d "${TMPDIR:-/tmp}/gatehouse-tree.XXXXXX")
    trap 'rm -rf "$tree"' EXIT
    make_tree
    for file; do
        cp "$file" "$tree/etc/"
    done
    find "$tree" -exec touch -h -d @$SOURCE_DATE_EPOCH {} +
    (cd "$tree" && find . -print0 | sort -z | cpio --null -o -H newc -R 0:0 --reproducible --quiet) |
        zstd -q -9 -T1 >"$out"
}

# --- the disk ----------------------------------------------------------------------------------------

# Ids are fixed, so that PCR 5, which holds the partition table, is the same on every disk.
volume=6A7E4005
disk_id=6A7E4005-0000-4000-8000-000000000001
partition_id=6A7E4005-0000-4000-8000-000000000002
efi_system=C12A7328-F81F-11D2-BA4B-00A0C93EC93B

grub_configuration() { # COMMAND-LINE
    cat <<END
set timeout=0
set default=0
search --no-floppy --fs-uuid --set=root 6A7E-4005
linux /vmlinuz $1
initrd /initrd.img
boot
END
}

disk() {
    out=$1
    grub_configuration "$3" >"$out.cfg"
    rm -f "$out" "$out.esp"
    truncate -s 62M "$out.esp"
    mkfs.vfat --invariant -F 32 -i $volume -n GATEHOUSE "$out.esp" >/dev/null
    export MTOOLS_SKIP_CHECK=1
    mmd -i "$out.esp" ::EFI ::EFI/BOOT ::EFI/debian
    mcopy -i "$out.esp" "$chain/shimx64.efi" ::EFI/BOOT/BOOTX64.EFI
    mcopy -i "$out.esp" "$chain/grubx64.efi" ::EFI/BOOT/grubx64.efi
    mcopy -i "$out.esp" "$out.cfg" ::EFI/debian/grub.cfg
    mcopy -i "$out.esp" "$chain/vmlinuz" ::vmlinuz
    mcopy -i "$out.esp" "$2" ::initrd.img
    truncate -s 64M "$out"
    printf 'label: gpt\nlabel-id: %s\nstart=2048, size=126976, type=%s, uuid=%s\n' $disk_id $efi_system $partition_id |
        sfdisk -q "$out"
    dd if="$out.esp" of="$out" bs=1M seek=1 conv=notrunc,sparse status=none
    rm -f "$out.esp" "$out.cfg"
}

case ${1-} in
initramfs) [ $# -ge 2 ] || die 'initramfs OUT [FILE...]' ;;
disk) [ $# -eq 4 ] || die 'disk OUT INITRAMFS COMMAND-LINE' ;;
*) die 'initramfs or disk' ;;
esac
[ -s "$chain/versions" ] || die "there is no boot chain in $chain: fetch.sh brings it"
"$@"
