#!/bin/sh
# bootlog.sh: writes a firmware event log as a measured boot would leave it (TCG PC Client Platform Firmware
# Profile, crypto-agile format), together with the extends that make a TPM agree with it.
#
#   bootlog.sh boot LOG               a whole boot: firmware, Secure Boot, shim, GRUB, kernel, command line
#   bootlog.sh add LOG PCR TYPE TEXT  one more event at the log's end: an image whose path TEXT is, GRUB's
#                                     command line after "kernel_cmdline: ", or else what TEXT says
#
# Both print one line an event, "PCR:sha256=HEX", in the order of the extends: what tpm2_pcrextend takes.
#
#   BANKS='sha256 sha384'     digests to log, default sha256      SECURE_BOOT=off   the firmware's switch
#   KERNEL=vmlinuz-6.1.0-28   the kernel that is run              COMMAND_LINE=...  what it is told
set -eu

banks=${BANKS:-sha256}
kernel=${KERNEL:-vmlinuz-6.1.0-28-amd64}
command_line=${COMMAND_LINE:-/$kernel root=UUID=5a1e0b52-6e0f-4a7e-9f3c-1d2b3c4d5e6f ro quiet}
[ "${SECURE_BOOT:-on}" = on ] && secure_boot=01 || secure_boot=00

# Everything is put together as hex digits.
u8() { printf '%02x' "$1"; }
u16() { printf '%02x%02x' $(($1 & 255)) $(($1 >> 8 & 255)); }
u32() { printf '%02x%02x%02x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)); }
u64() { u32 "$1"; printf '00000000'; }
text() { printf '%s' "$1" | xxd -p | tr -d '\n'; }
utf16() { text "$1" | sed 's/../&00/g'; }
size() { echo $((${#1} / 2)); }
zeros() { printf "%0$(($1 * 2))d" 0; }
hash() { printf '%s' "$2" | xxd -r -p | "$1sum" | cut -d ' ' -f 1; }

bank_id() {
    case $1 in
    sha1) echo 4 ;;
    sha256) echo 11 ;;
    sha384) echo 12 ;;
    sha512) echo 13 ;;
    *) echo "bootlog.sh: unknown bank $1" >&2; exit 2 ;;
    esac
}
bank_size() {
    case $1 in sha1) echo 20 ;; sha256) echo 32 ;; sha384) echo 48 ;; *) echo 64 ;; esac
}

event_type() {
    case $1 in
    EV_NO_ACTION) echo 3 ;;
    EV_SEPARATOR) echo 4 ;;
    EV_S_CRTM_VERSION) echo 8 ;;
    EV_IPL) echo 13 ;;
    EV_EFI_VARIABLE_DRIVER_CONFIG) echo $((0x80000001)) ;;
    EV_EFI_VARIABLE_BOOT) echo $((0x80000002)) ;;
    EV_EFI_BOOT_SERVICES_APPLICATION) echo $((0x80000003)) ;;
    EV_EFI_ACTION) echo $((0x80000007)) ;;
    EV_EFI_PLATFORM_FIRMWARE_BLOB) echo $((0x80000008)) ;;
    EV_EFI_VARIABLE_AUTHORITY) echo $((0x800000e0)) ;;
    *) echo "bootlog.sh: unknown event type $1" >&2; exit 2 ;;
    esac
}

# event PCR TYPE DATA [MEASURED]: data and what is measured are hex; without MEASURED it is the data.
# The event's bytes join $out, its extend is printed.
event() {
    measured=${4-$3}
    digests='' extend=''
    num=0
    for bank in $banks; do
        if [ "$2" = EV_NO_ACTION ]; then
            digest=$(zeros "$(bank_size "$bank")")
        else
            digest=$(hash "$bank" "$measured")
            extend="$extend${extend:+,}$bank=$digest"
        fi
        digests=$digests$(u16 "$(bank_id "$bank")")$digest
        num=$((num + 1))
    done
    out=$out$(u32 "$1")$(u32 "$(event_type "$2")")$(u32 $num)$digests$(u32 "$(size "$3")")$3
    [ -z "$extend" ] || echo "$1:$extend"
}

# The log's first event, in the old format: which banks follow (TCG_EfiSpecIdEvent).
spec_id() {
    algorithms=''
    num=0
    for bank in $banks; do
        algorithms=$algorithms$(u16 "$(bank_id "$bank")")$(u16 "$(bank_size "$bank")")
        num=$((num + 1))
    done
    data=$(text 'Spec ID Event03')00$(u32 0)$(u8 0)$(u8 2)$(u8 0)$(u8 2)$(u32 $num)$algorithms$(u8 0)
    out=$out$(u32 0)$(u32 3)$(zeros 20)$(u32 "$(size "$data")")$data
}

# UEFI_VARIABLE_DATA: GUID, name, contents.
efi_global=61dfe48bca93d211aa0d00e098032b8c
efi_image_security=cbb219d73a3d9645a3bcdad00e67656f
variable() { # GUID NAME DATA
    printf '%s' "$1$(u64 ${#2})$(u64 "$(size "$3")")$(utf16 "$2")$3"
}

# An EFI_SIGNATURE_LIST with one entry; what stands for the certificate is made from a name.
signature_list() {
    printf '%s' "a159c0a5e494a74a87b5ab155c2bf072$(u32 $((28 + 16 + 68)))$(u32 0)$(u32 $((16 + 68)))"
    signature_data "$1"
}
# Its owner, and DER that is a certificate no further than its frame.
signature_data() { printf '%s' "bd9afa775903324dbd6028f4e78f784b30420440$(hash sha512 "$(text "certificate of $1")")"; }

# UEFI_IMAGE_LOAD_EVENT with a file-path device path; the digest stands for the image's Authenticode one.
image() { # PATH NAME [PCR]
    name=$(utf16 "$1")0000
    path=0404$(u16 $(($(size "$name") + 4)))${name}7fff0400
    event "${3-4}" EV_EFI_BOOT_SERVICES_APPLICATION \
        "$(u64 $((0x7e00000)))$(u64 $((0x100000)))$(u64 0)$(u64 "$(size "$path")")$path" "$(text "image $2")"
}

# GRUB's way: the event says what kind of thing it is, the digest covers the thing.
ipl() { # PCR PREFIX TEXT
    event "$1" EV_IPL "$(text "$2$3")00" "$(text "$3")"
}

boot() {
    spec_id
    event 0 EV_NO_ACTION "$(text StartupLocality)00$(u8 0)"
    event 0 EV_S_CRTM_VERSION "$(utf16 'Edge9 1.42')0000"
    event 0 EV_EFI_PLATFORM_FIRMWARE_BLOB "$(u64 $((0xff000000)))$(u64 $((0xe0000)))" "$(text 'firmware Edge9 1.42')"
    event 7 EV_EFI_VARIABLE_DRIVER_CONFIG "$(variable $efi_global SecureBoot $secure_boot)"
    event 7 EV_EFI_VARIABLE_DRIVER_CONFIG "$(variable $efi_global PK "$(signature_list 'Acme platform key')")"
    event 7 EV_EFI_VARIABLE_DRIVER_CONFIG "$(variable $efi_global KEK "$(signature_list 'Acme key exchange')")"
    event 7 EV_EFI_VARIABLE_DRIVER_CONFIG "$(variable $efi_image_security db "$(signature_list 'Acme images')")"
    event 7 EV_EFI_VARIABLE_DRIVER_CONFIG "$(variable $efi_image_security dbx '')"
    event 1 EV_EFI_VARIABLE_BOOT "$(variable $efi_global BootOrder 0000)"
    event 2 EV_EFI_PLATFORM_FIRMWARE_BLOB "$(u64 $((0xfe000000)))$(u64 $((0x10000)))" "$(text 'option ROM')"
    for pcr in 0 1 2 3 4 5 6 7; do
        event $pcr EV_SEPARATOR 00000000
    done
    event 4 EV_EFI_ACTION "$(text 'Calling EFI Application from Boot Option')"
    event 7 EV_EFI_VARIABLE_AUTHORITY "$(variable $efi_image_security db "$(signature_data 'Acme images')")"
    image '\EFI\BOOT\BOOTX64.EFI' 'shim 15.8'
    event 14 EV_IPL "$(text MokList)00" "$(text 'machine owner keys')"
    image '\EFI\BOOT\grubx64.efi' 'grub 2.06'
    ipl 8 'grub_cmd: ' 'set default=0'
    ipl 9 '' '(hd0,gpt1)/EFI/debian/grub.cfg'
    ipl 9 '' "(hd0,gpt1)/$kernel"
    image "\\$kernel" "$kernel"
    ipl 8 'grub_cmd: ' "linux $command_line"
    ipl 8 'kernel_cmdline: ' "$command_line"
    ipl 9 '' '(hd0,gpt1)/initrd.img'
    event 5 EV_EFI_ACTION "$(text 'Exit Boot Services Invocation')"
    event 5 EV_EFI_ACTION "$(text 'Exit Boot Services Returned with Success')"
}

usage() {
    sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

out=''
case ${1-} in
boot)
    [ $# -eq 2 ] || usage
    boot
    printf '%s' "$out" | xxd -r -p >"$2"
    ;;
add)
    [ $# -eq 5 ] || usage
    case "$4 $5" in
    'EV_EFI_BOOT_SERVICES_APPLICATION '*) image "$5" "$5" "$3" ;;
    'EV_IPL kernel_cmdline: '*) ipl "$3" 'kernel_cmdline: ' "${5#kernel_cmdline: }" ;;
    *) event "$3" "$4" "$(text "$5")" ;;
    esac
    printf '%s' "$out" | xxd -r -p >>"$2"
    ;;
*) usage ;;
esac
