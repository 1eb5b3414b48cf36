#!/bin/sh
# test: TPM2_Certify from a shell, deploy/device/certify.sh, with a swtpm
cd "$(dirname "$0")" && . ./lib.sh
# shellcheck source=deploy/device/certify.sh
. "$root/deploy/device/certify.sh"

nonce=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
attest=$work/certify.attest
signature=$work/certify.signature

# tls_key HANDLE ATTRIBUTES: a key of the TPM edge at that handle.
tls_key() {
    tpm edge createprimary -Q -C o -G ecc -c "$work/srk.ctx" &&
        tpm edge create -Q -C "$work/srk.ctx" -G ecc256 -u "$work/tls.pub" -r "$work/tls.priv" -a "$2" &&
        tpm edge load -Q -C "$work/srk.ctx" -u "$work/tls.pub" -r "$work/tls.priv" -c "$work/tls.ctx" &&
        tpm edge evictcontrol -Q -C o -c "$work/tls.ctx" "$1"
}

# hex FILE [OFFSET [SIZE]]
hex() { xxd -p -c 4096 -s "${2:-0}" ${3:+-l "$3"} "$1"; }

# ecdsa_der: $signature, of two numbers of 32 bytes, as OpenSSL reads it.
ecdsa_der() {
    printf 'asn1 = SEQUENCE:pair\n[pair]\nr = INTEGER:0x%s\ns = INTEGER:0x%s\n' "$(hex "$signature" 6 32)" \
        "$(hex "$signature" 40 32)" >"$work/pair"
    openssl asn1parse -genconf "$work/pair" -noout -out "$work/signature.der"
}

# refused TEXT ARGUMENT...: no certification, and what was written before is as it was.
refused() {
    refused_text=$1
    shift
    echo before >"$attest"
    echo before >"$signature"
    if tpm_certify "$@" "$attest" "$signature" >"$work/refused" 2>&1; then
        not_ok "$refused_text" "$(hex "$attest")"
    else
        same "$refused_text" 'before before' "$(cat "$attest") $(cat "$signature")"
    fi
}

must 'a vendor is there' vendor_new acme
must 'a device is made' device_new edge acme
must 'it boots' device_power_on edge
must 'it makes keys' device_keys edge
must 'it makes a TLS key in its TPM' tls_key 0x81008010 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign'
must 'and another' tls_key 0x81008011 'sensitivedataorigin|userwithauth|sign|decrypt'
TPM2TOOLS_TCTI=swtpm:path=$work/edge/s
export TPM2TOOLS_TCTI

# --- what it makes -----------------------------------------------------------------------------------

claim 'an AK certifies a key' tpm_certify 0x81008001 0x81008010 $nonce "$attest" "$signature"
same 'nothing else is left behind' '' "$(find "$work" -name 'certify.attest.*')"
same 'it is a TPMS_ATTEST of type certify' ff5443478017 "$(hex "$attest" 0 6)"
same 'the nonce is its extraData' "0020$nonce" "$(hex "$attest" 42 34)"
# In other shells, under the device client's settings; the caller has no arguments of its own.
cat >"$work/certifies" <<END
set -eu
. "$root/deploy/device/certify.sh"
tpm_certify 0x81008001 0x81008010 $nonce "$attest" "$signature"
END
for other_shell in dash 'busybox sh' bash; do
    command -v "${other_shell%% *}" >/dev/null || { skip "$other_shell certifies" 'it is not installed'; continue; }
    # shellcheck disable=SC2086 # words
    claim "$other_shell certifies" $other_shell "$work/certifies"
    same "and $other_shell leaves nothing behind" '' "$(find "$work" -name 'certify.attest.*')"
done
tpm edge readpublic -Q -c 0x81008010 -n "$work/tls.name"
same 'it names the key' "0022$(hex "$work/tls.name")" "$(hex "$attest" 101 36)"
tpm edge readpublic -Q -c 0x81008001 -f pem -o "$work/ak.pem"
same 'the signature is ECDSA with SHA-256' 0018000b0020 "$(hex "$signature" 0 6)"
must 'the signature has two numbers' ecdsa_der
claim 'it is the AK that signed' openssl dgst -sha256 -verify "$work/ak.pem" -signature "$work/signature.der" "$attest"
claim 'a nonce of one byte does' tpm_certify 0x81008001 0x81008010 7f "$attest" "$signature"
same 'and is the extraData' 00017f "$(hex "$attest" 42 3)"
claim 'so does one of 64, in capitals' tpm_certify 0x81008001 0x81008010 "$(printf '%0128d' 0 | tr 0 A)" "$attest" "$signature"

# --- what it refuses ---------------------------------------------------------------------------------

refused 'a key that is not there' 0x81008001 0x81008012 $nonce
refused 'an AK that is not there' 0x81008002 0x81008010 $nonce
refused 'no nonce' 0x81008001 0x81008010 ''
refused 'half a byte' 0x81008001 0x81008010 012
refused 'a nonce that is not hex' 0x81008001 0x81008010 0g
refused 'a nonce over 64 bytes' 0x81008001 0x81008010 "$(printf '%0130d' 0)"
refused 'a file in place of a handle' "$work/tls.ctx" 0x81008010 $nonce
refused 'a hierarchy in place of a key' 0x81008001 0x40000001 $nonce
refused 'half a handle' 0x81008001 0x8100801 $nonce
refused 'a handle that is not hex' 0x81008001 0x8100801g $nonce
refused 'a key that cannot sign as the AK' 0x81010001 0x81008010 $nonce
TPM2TOOLS_TCTI=swtpm:path=$work/nowhere
refused 'no TPM' 0x81008001 0x81008010 $nonce
TPM2TOOLS_TCTI=swtpm:path=$work/edge/s

# --- with an RSA key ---------------------------------------------------------------------------------

must 'an AK with RSA' device_ak edge rsa:rsassa
claim 'an RSA key certifies too' tpm_certify 0x81008001 0x81008010 $nonce "$attest" "$signature"
same 'by the scheme that it states' 0014000b0100 "$(hex "$signature" 0 6)"
tpm edge readpublic -Q -c 0x81008001 -f pem -o "$work/ak.pem"
tail -c +7 "$signature" >"$work/signature.rsa"
claim 'and the signature is its own' openssl dgst -sha256 -verify "$work/ak.pem" -signature "$work/signature.rsa" "$attest"
finish
