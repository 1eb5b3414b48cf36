#!/bin/sh
# test: EST as its clients speak it: curl by hand, and strongSwan's pki
cd "$(dirname "$0")" && . ./lib.sh

a_gateway edge
must 'edge enrols' device_enrols edge acme-edge9
url=https://127.0.0.1:$(port_of device)

# est METHOD PATH [BODY-FILE]: as edge; the status in $status, the body in $answer.
est() {
    set -- -X "$1" ${3:+-H 'Content-Type: application/pkcs10' --data-binary "@$3"} "$url/.well-known/est/$2"
    status=$(curl -sS --max-time 30 -o "$answer" -D "$headers" -w '%{http_code}' --cacert "$work/server-ca.pem" \
        --cert "$work/edge.pem" --key "$work/edge.key" "$@" 2>"$work/curl.err") || :
}
# request NAME: a key of its own and a request for it, as DER, PEM and base64.
request() {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$1" -keyout "$work/$1.key" \
        -outform DER -out "$work/$1.csr" 2>/dev/null &&
        openssl base64 -in "$work/$1.csr" -out "$work/$1.b64"
}
unpacked() { # FILE: the certificates of the answer
    openssl base64 -d -A -in "$answer" | openssl pkcs7 -inform DER -print_certs -out "$1"
}
allowed() { # CERTIFICATE: what a proxy is told
    sha256=$(openssl x509 -in "$1" -outform DER | sha256sum | cut -d ' ' -f 1)
    jq -n --arg s "$sha256" '{subjects: [{certificate_sha256: $s}]}' >"$work/body"
    call proxy proxy POST /v1/decisions "$work/body"
    field '.decisions[0] | "\(.decision) \(.reason)"'
}

must 'a request' request tunnel
est GET cacerts
answered 'the authorities are handed out' 200
claim 'they are those of the bundle' unpacked "$work/authorities.pem"
call public - GET /v1/ca/access.pem
same 'and the same ones' "$(openssl x509 -in "$answer" -noout -fingerprint)" "$(openssl x509 -in "$work/authorities.pem" -noout -fingerprint)"
est GET csrattrs
answered 'what a request should hold is said' 200

est POST simpleenroll "$work/tunnel.b64"
answered 'before its first evidence the device has to come again' 202
claim 'and is told when' grep -qi '^retry-after: [0-9]' "$headers"

device_attests edge
same 'it attests' 201 "$status"
est POST simpleenroll "$work/tunnel.b64"
answered 'now its key gets a certificate' 200
must 'which can be unpacked' unpacked "$work/tunnel.pem"
# shellcheck disable=SC2016 # the inner shell's
claim 'which is for that key' sh -c 'test "$(openssl pkey -in "$1.key" -pubout)" = "$(openssl x509 -in "$1.pem" -noout -pubkey)"' sh "$work/tunnel"
claim 'which the authorities vouch for' openssl verify -x509_strict -purpose sslclient -CAfile "$work/authorities.pem" "$work/tunnel.pem"
same 'and which decisions let pass' 'allow trusted' "$(allowed "$work/tunnel.pem")"
est POST simplereenroll "$work/tunnel.b64"
answered 'again is the same' 200
est POST simpleenroll "$work/tunnel.csr"
answered 'a request that is not base64 is refused' 400 malformed_base64

# A client of others: it keeps to the letter of RFC 7030, with a TLS of its own.
if ! pki --help 2>/dev/null | grep -q -- '--est '; then
    skip "strongSwan's pki enrols" 'strongswan-pki is not installed, or older than 5.9.8'
else
    must 'a request' request vpn
    # pki_enrols NAME: into $work/NAME.crt
    # Its TLS stops at 1.2 unless it is told.
    printf "libtls {\n version_max = 1.3\n}\npki {\n tls {\n  version_max = 1.3\n }\n}\n" >"$work/strongswan.conf"
    export STRONGSWAN_CONF="$work/strongswan.conf"
    pki_enrols() {
        timeout 30 pki --est --url "$url" --in "$work/$1.csr" --cacert "$work/server-ca.pem" --cert "$work/edge.pem" \
            --key "$work/edge.key" --outform pem --interval 1 --maxpolltime "${2:-20}" >"$work/$1.crt" 2>"$work/$1.err"
    }
    claim "strongSwan's pki gets a certificate" pki_enrols vpn
    claim 'which the authorities vouch for' openssl verify -CAfile "$work/authorities.pem" "$work/vpn.crt"
    same 'and which decisions let pass' 'allow trusted' "$(allowed "$work/vpn.crt")"
fi

# --- and when trust is gone --------------------------------------------------------------------------

id=$(cat "$work/edge/id")
printf '{"reason":"lost"}' >"$work/body"
call admin admin POST "/v1/devices/$id/quarantine" "$work/body"
answered 'the device is quarantined' 200
same 'its certificates are worth nothing' 'deny quarantined' "$(allowed "$work/tunnel.pem")"
est POST simplereenroll "$work/tunnel.b64"
answered 'and it gets none' 403 device_quarantined
call admin admin POST "/v1/devices/$id/release" "$work/empty"
answered 'it is released' 200
est POST simplereenroll "$work/tunnel.b64"
answered 'and has to attest anew' 202
if command -v pki_enrols >/dev/null; then
    must 'a request' request late
    same 'which pki waits for, and gives up' no "$(pki_enrols late 2 && echo yes || echo no)"
fi
finish
