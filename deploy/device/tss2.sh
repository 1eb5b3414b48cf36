# shellcheck shell=sh
# tss2.sh: keys of a TPM in the form that OpenSSL's tpm2 provider reads, to be sourced. openssl.cnf beside this
# file is what OPENSSL_CONF has to name for it.

# tss2_key PUBLIC PRIVATE OUT: TSS2 PRIVATE KEY as PEM, of the key whose TPM2B_PUBLIC and wrapped private part are
# in these files, without a password, and with the owner hierarchy's storage key as its parent.
tss2_key() {
    cat >"$3.asn1" <<END
asn1 = SEQUENCE:key
[key]
type = OID:2.23.133.10.1.3
empty_authorisation = EXPLICIT:0,BOOLEAN:TRUE
parent = INTEGER:0x40000001
public = FORMAT:HEX,OCTETSTRING:$(od -An -v -tx1 "$1" | tr -d ' \n')
private = FORMAT:HEX,OCTETSTRING:$(od -An -v -tx1 "$2" | tr -d ' \n')
END
    openssl asn1parse -genconf "$3.asn1" -noout -out "$3.der" >/dev/null 2>&1 || return 1
    {
        echo '-----BEGIN TSS2 PRIVATE KEY-----'
        openssl base64 -in "$3.der"
        echo '-----END TSS2 PRIVATE KEY-----'
    } >"$3"
    rm -f "$3.asn1" "$3.der"
}
