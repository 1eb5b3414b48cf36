#!/bin/sh
# seeds_crypto.sh: makes the seeds of fuzz_csr, fuzz_certificate, fuzz_ek_certificate, fuzz_ocsp_request and
# fuzz_signer_wire with openssl, anew. They are
# committed; run this when a format gains a variant.
set -eu

cd "$(dirname "$0")/seeds"
mkdir -p csr certificate ek_certificate ocsp_request signer_wire
rm -f csr/* certificate/* ek_certificate/* ocsp_request/* signer_wire/*
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
seeds=$PWD
cd "$work"

key() { # name, options of genpkey
    name=$1
    shift
    openssl genpkey "$@" -out "$name.key"
}
key p256 -algorithm EC -pkeyopt ec_paramgen_curve:P-256
key p384 -algorithm EC -pkeyopt ec_paramgen_curve:P-384
key p521 -algorithm EC -pkeyopt ec_paramgen_curve:P-521
key root -algorithm EC -pkeyopt ec_paramgen_curve:P-256
key ed25519 -algorithm ED25519
key ed448 -algorithm ED448
key rsa -algorithm RSA -pkeyopt rsa_keygen_bits:2048

csr() { # name, key, options of req
    name=$1 key=$2
    shift 2
    openssl req -new -key "$key.key" -outform DER -out "$seeds/csr/$name.der" "$@"
}
csr p256 p256 -subj /
csr p384 p384 -subj /CN=x -sha384
csr p521 p521 -subj / -sha512
csr ed25519 ed25519 -subj /
csr rsa rsa -subj /
csr rsa-pss rsa -subj / -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest
csr sha1 p256 -subj / -sha1
csr attributes p256 -subj /CN=x/O=y -addext subjectAltName=DNS:a.example -addext basicConstraints=critical,CA:TRUE

certificate() { # name, key, subject, extensions as lines
    openssl req -new -key "$2.key" -subj "$3" -out request.pem
    printf 'authorityKeyIdentifier=none\n%b\n' "$4" >extensions
    openssl x509 -req -in request.pem -CA root.pem -CAkey root.key -set_serial "${5:-1}" -days "${6:-3650}" \
        -extfile extensions -outform DER -out "$seeds/certificate/$1.der"
}
openssl req -x509 -key root.key -subj '/CN=Fuzz Root' -days 3650 -addext keyUsage=critical,keyCertSign,cRLSign -out root.pem
openssl x509 -in root.pem -outform DER -out "$seeds/certificate/root.der"
uri=subjectAltName=URI:spiffe://example.org/device/0123456789abcdef0123456789abcdef
certificate device p256 /CN=0123456789abcdef0123456789abcdef "keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n$uri"
certificate authority p384 '/CN=Fuzz Root' 'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign'
certificate ed25519 ed25519 /CN=x "$uri"
certificate ed448 ed448 /CN=x "$uri"
certificate p521 p521 /CN=x "$uri"
certificate far-future p256 /CN=x "$uri" 1 2900000
certificate negative-serial p256 /CN=x "$uri" -5
certificate ek rsa / 'keyUsage=critical,keyEncipherment
extendedKeyUsage=2.23.133.8.1
certificatePolicies=critical,anyPolicy
subjectAltName=critical,dirName:tpm
[tpm]
tpm.2.23.133.2.1=id:00000000
tpm.2.23.133.2.2=model
tpm.2.23.133.2.3=id:00010002'
certificate odd p256 '/CN=a+O=b/C=DE' 'nameConstraints=critical,permitted;DNS:a.example
subjectAltName=DNS:a.example,IP:192.0.2.1,email:a@a.example,otherName:1.2.3;UTF8:x
1.2.3.4=critical,DER:0500
1.2.3.5=DER:0500'
openssl req -x509 -key rsa.key -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest -subj '/CN=Fuzz Root' \
    -outform DER -out "$seeds/certificate/pss.der"

ocsp() { # name, options of ocsp
    name=$1
    shift
    openssl ocsp -issuer root.pem "$@" -reqout "$seeds/ocsp_request/$name.der"
}
ocsp sha1 -sha1 -serial 0x1f00
ocsp sha256 -sha256 -serial 0x1f00
ocsp sha512 -sha512 -serial 1
ocsp bare -no_nonce -sha1 -serial 1
ocsp several -sha1 -serial 1 -sha256 -serial 2 -serial 0x7fffffffffffffffffffffffffffffff
ocsp signed -no_nonce -serial 1 -signer root.pem -signkey root.key

# What stands around a certificate in NV areas: a header, an OCTET STRING, padding.
ek=$seeds/certificate/ek.der
len=$(wc -c <"$ek")
length() { # a number as two bytes
    printf '%b' "\\0$(printf %o $(($1 / 256)))\\0$(printf %o $(($1 % 256)))"
}
octets() {
    printf '\004\202'
    length "$len"
    cat "$ek"
}
{
    printf '\020\001\000'
    length $((len + 2))
    printf '\020\002'
    cat "$ek"
    head -c 16 /dev/zero
} >"$seeds/ek_certificate/header"
{
    printf '\020\001\000'
    length "$len"
    cat "$ek"
} >"$seeds/ek_certificate/header-alone"
{
    octets
    printf '\377\377\377'
} >"$seeds/ek_certificate/octets"
{
    printf '\020\001\000'
    length $((len + 4))
    octets
} >"$seeds/ek_certificate/header-octets"
{
    cat "$ek"
    head -c 16 /dev/zero
} >"$seeds/ek_certificate/padded"

# A job and an answer of each kind, after the byte that says which end reads.
{
    printf '\000\001'
    printf 0123456789abcdef0123456789abcdef
    printf '\000\000\000\000\152\261\073\200\000\000\000\000\152\261\111\220'
    printf '0123456789abcdef\000\010measured\000\004corp\000\133'
    openssl pkey -in p256.key -pubout -outform DER
} >"$seeds/signer_wire/job"
printf '\001\000\000\004\060\002\005\000\001\000\003why\002\000\000' >"$seeds/signer_wire/answers"
