# shellcheck shell=sh
# certify.sh: TPM2_Certify from a shell, to be sourced: proof that a key cannot leave the TPM, over a nonce.
#
# tpm2_certify takes no qualifying data before tpm2-tools 5.6, and Debian 12 has 5.4: so the command is built
# here and sent as it is with tpm2_send (TPM 2.0 Library Part 3, 18.2; Part 1, 18 for the sessions). That goes
# where TPM2TOOLS_TCTI says, as every other tool does: a swtpm, /dev/tpmrm0.
#
# Keys are named by their handles, and those are best persistent ones (0x81...): a transient object is gone
# when the process that loaded it closes its connection to a resource manager, such as /dev/tpmrm0, and
# loading contexts and certifying over one connection would mean to speak with the TPM between two commands of
# one tpm2_send, which only reads a file. A device needs its AK and its TLS key after each start anyway, and a
# persistent key is there without its parent. Where nothing manages resources (a bare swtpm) a transient
# handle (0x80...) does as well. Both keys have an empty authorization value.
#
# Needs od and dd of coreutils, and tpm2-tools. Sets no variables.

# tpm_certify AK_HANDLE KEY_HANDLE NONCE_HEX OUT_ATTEST OUT_SIGNATURE: the AK certifies the key with the nonce
# (1 to 64 bytes) as extraData. Writes a TPMS_ATTEST and a TPMT_SIGNATURE, by the scheme that the AK states.
# Returns non-zero, says why, and leaves both files as they were when the TPM refuses or an argument is none.
tpm_certify() (
    ak=$(tpm_certify_handle "$1") && key=$(tpm_certify_handle "$2") || exit 2
    case $3 in
    '' | *[!0-9A-Fa-f]*)
        echo "tpm_certify: the nonce is not hex: $3" >&2
        exit 2
        ;;
    esac
    if [ $((${#3} % 2)) -ne 0 ] || [ ${#3} -gt 128 ]; then
        echo "tpm_certify: the nonce is not of 1 to 64 bytes" >&2
        exit 2
    fi
    # By a name: in busybox's shell $4 is the caller's own by the time of the trap.
    attest_out=$4
    trap 'rm -f "$attest_out.command" "$attest_out.response"' EXIT
    # Two password sessions with empty passwords: TPM_RS_PW, no nonce, no attributes, no password.
    session=400000090000000000
    # Size: header 10, handles 8, size of sessions 4, sessions 18, the nonce with its size, scheme 2.
    # Tag TPM_ST_SESSIONS, command code 0x148, scheme TPM_ALG_NULL: the AK's own.
    printf '8002%08x00000148%s%s%08x%s%s%04x%s0010' $((44 + ${#3} / 2)) "$key" "$ak" 18 $session $session \
        $((${#3} / 2)) "$3" | tpm_certify_bytes >"$4.command" || exit 1
    rm -f "$4.response"
    tpm2 send -o "$4.response" "$4.command" || exit 1
    # Tag, size, response code, size of the parameters, then TPM2B_ATTEST and TPMT_SIGNATURE.
    if [ "$(tpm_certify_number "$4.response" 6 4)" != 0 ]; then
        printf 'tpm_certify: the TPM answers 0x%x\n' "$(tpm_certify_number "$4.response" 6 4)" >&2
        exit 1
    fi
    parameters=$(tpm_certify_number "$4.response" 10 4)
    attest=$(tpm_certify_number "$4.response" 14 2)
    if [ "$attest" -eq 0 ] || [ "$parameters" -le $((2 + attest)) ] ||
        [ "$(wc -c <"$4.response")" -lt $((14 + parameters)) ]; then
        echo 'tpm_certify: the answer of the TPM is cut short' >&2
        exit 1
    fi
    tpm_certify_cut "$4.response" 16 "$attest" "$4" &&
        tpm_certify_cut "$4.response" $((16 + attest)) $((parameters - 2 - attest)) "$5"
)

# The eight hex digits of a handle of an object.
tpm_certify_handle() {
    case $1 in
    0x8[01]??????)
        case $1 in
        0x*[!0-9A-Fa-f]*) ;;
        *)
            echo "${1#0x}"
            return
            ;;
        esac
        ;;
    esac
    echo "tpm_certify: not the handle of a key: $1" >&2
    return 1
}

# Hex on standard input, one line without an end, becomes bytes.
tpm_certify_bytes() (
    read -r hex || :
    while [ -n "$hex" ]; do
        rest=${hex#??}
        # shellcheck disable=SC2059 # an octal escape for each byte
        printf "\\$(printf %03o "0x${hex%"$rest"}")"
        hex=$rest
    done
)

# FILE OFFSET SIZE: that big-endian number; -1 when the file ends before it.
tpm_certify_number() {
    # shellcheck disable=SC2046 # words
    set -- "$3" $(od -An -v -tu1 -j "$2" -N "$3" "$1" 2>/dev/null)
    if [ $# -ne $(($1 + 1)) ]; then
        echo -1
        return
    fi
    shift
    number=0
    for byte in "$@"; do
        number=$((number * 256 + byte))
    done
    echo $number
}

# FILE OFFSET SIZE OUT
tpm_certify_cut() {
    dd if="$1" of="$4" bs=1 skip="$2" count="$3" 2>/dev/null
}
