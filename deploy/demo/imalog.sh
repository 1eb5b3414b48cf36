#!/bin/sh
# imalog.sh: writes IMA's measurement log as Linux leaves it (template ima-ng, SHA-256), one entry at a time, and
# prints the extend that makes a TPM agree with it, "10:sha256=HEX": what tpm2_pcrextend takes.
#
#   imalog.sh boot LOG PCRS            a new log: the boot_aggregate of PCRs 0 to 9, whose values PCRS holds (hex)
#   imalog.sh uses LOG PATH CONTENTS   a file was used
set -eu

u32() { printf '%02x%02x%02x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)); }
text() { printf '%s' "$1" | xxd -p | tr -d '\n'; }
field() { u32 $((${#1} / 2)); printf '%s' "$1"; }
# hash ALGORITHM HEX
hash() { printf '%s' "$2" | xxd -r -p | "$1sum" | cut -d ' ' -f 1; }

# entry LOG DIGEST PATH
entry() {
    data=$(field "$(text sha256:)00$2")$(field "$(text "$3")00")
    printf '%s' "$(u32 10)$(hash sha1 "$data")$(field "$(text ima-ng)")$(field "$data")" | xxd -r -p >>"$1"
    echo "10:sha256=$(hash sha256 "$data")"
}

case ${1-} in
boot)
    : >"$2"
    entry "$2" "$(hash sha256 "$(tr -d ' \n' <"$3")")" boot_aggregate
    ;;
uses) entry "$2" "$(hash sha256 "$(text "$4")")" "$3" ;;
*)
    echo 'imalog.sh: boot LOG PCRS | uses LOG PATH CONTENTS' >&2
    exit 2
    ;;
esac
