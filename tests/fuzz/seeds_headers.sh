#!/bin/sh
# seeds_headers.sh: makes the seeds of fuzz_client_certificate with openssl, anew: the first byte is the dialect's
# number (server/base/dialect.h), then the header's value as the proxy writes it. They are committed.
set -eu

cd "$(dirname "$0")/seeds"
mkdir -p client_certificate
rm -f client_certificate/*
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/key" -subj /CN=d -days 3650 -out "$work/pem" 2>/dev/null
openssl x509 -in "$work/pem" -outform DER -out "$work/der"
base64=$(openssl base64 -A -in "$work/der")
digest=$(openssl dgst -sha256 -r "$work/der" | cut -d ' ' -f 1)
escaped=$(jq -sRr @uri <"$work/pem")

seed() { # name, number, value
    printf "\\$(printf %03o "$2")%s" "$3" >"client_certificate/$1"
}
seed nginx 1 "$escaped"
seed envoy 2 "By=spiffe://a;Hash=$digest;Cert=\"$escaped\";Subject=\"CN=\\\"d\\\", x\";URI=;DNS=d"
seed envoy-hash 2 "hash=$digest"
seed envoy-hops 2 "Hash=$digest,Hash=$digest"
seed traefik 3 "$base64,$base64"
seed traefik-escaped 3 "$(printf %s "$base64" | jq -sRr @uri)"
seed caddy 4 "$base64"
seed rfc9440 5 ":$base64:"
seed rfc9440-none 5 '::'
seed fingerprint 6 "$(echo "$digest" | tr a-f A-F)"
