#!/bin/sh
# test: forward authentication: each certificate dialect over mutual TLS and the Unix socket, and what it refuses
cd "$(dirname "$0")" && . ./lib.sh

socket=$work/proxy.sock
export GATEHOUSE_PROXY_LISTEN="127.0.0.1:0,unix:$socket" GATEHOUSE_PROXY_UNIX_DIALECT=rfc9440 \
    GATEHOUSE_PROXY_UNIX_POLICIES=strict,open
a_gateway edge other
enrolled edge
field .credential.certificate >"$work/credential.pem"
serial=$(field .credential.serial)
openssl x509 -in "$work/credential.pem" -out "$work/leaf.pem"
openssl x509 -in "$work/credential.pem" -outform DER -out "$work/leaf.der"
id=$(cat "$work/edge/id")

# --- what each proxy would send ----------------------------------------------------------------------

escaped() { jq -sRr @uri <"$1"; }
base64_of() { openssl base64 -A -in "$1"; }
digest_of() { sha256sum <"$1" | cut -d ' ' -f 1; }

# header DIALECT LEAF.pem LEAF.der: its headers, one a line.
header() {
    case $1 in
    nginx) printf 'X-SSL-Client-Verify: SUCCESS\nX-SSL-Client-Cert: %s\n' "$(escaped "$2")" ;;
    envoy_xfcc) printf 'x-forwarded-client-cert: By=spiffe://front;Hash=%s;Cert="%s";Subject="CN=a, \\"b\\"";URI=\n' \
        "$(digest_of "$3")" "$(escaped "$2")" ;;
    traefik) printf 'X-Forwarded-Tls-Client-Cert: %s,%s\n' "$(base64_of "$3")" "$(base64_of "$3")" ;;
    caddy) printf 'X-Client-Cert: %s\n' "$(base64_of "$3")" ;;
    rfc9440) printf 'Client-Cert: :%s:\nClient-Cert-Chain: :AAAA:\n' "$(base64_of "$3")" ;;
    fingerprint) printf 'X-Client-Cert-Sha256: %s\n' "$(digest_of "$3")" ;;
    esac
}
dialects='nginx envoy_xfcc traefik caddy rfc9440 fingerprint'
for dialect in $dialects; do
    header $dialect "$work/leaf.pem" "$work/leaf.der" >"$work/$dialect.headers"
    must "a proxy that speaks $dialect" gateway_certifies $dialect proxies
    jq -n --arg n $dialect --rawfile c "$work/$dialect.pem" '{name: $n, dialect: $n, certificate: $c}' >"$work/body"
    call admin admin POST /v1/proxies "$work/body"
    answered "a proxy is registered with the dialect $dialect" 201
done

# ask PROXY HEADERS-FILE PATH [CURL-OPTION...]: leaves status, answer and headers; PROXY may be "unix".
ask() {
    as=$1 with=$2 path=$3
    shift 3
    if [ "$as" = unix ]; then
        set -- --unix-socket "$socket" "$@" "http://localhost$path"
    else
        set -- --cacert "$work/server-ca.pem" --cert "$work/$as.pem" --key "$work/$as.key" "$@" "https://127.0.0.1:$(port_of proxy)$path"
    fi
    : >"$answer"
    status=$(curl -sS --max-time 30 --path-as-is -o "$answer" -D "$headers" -w '%{http_code}' -H "@$with" "$@" 2>"$work/curl.err") || :
}
reason() { sed -n 's/\r$//; s/^[Xx]-[Gg]atehouse-[Rr]eason: //p' "$headers"; }
value() { sed -n "s/\r\$//; s/^$1: //Ip" "$headers"; }
# denied TEXT STATUS REASON
denied() { same "$1" "$2 $3" "$status $(reason)"; }

# --- what is allowed ---------------------------------------------------------------------------------

for dialect in $dialects; do
    ask $dialect "$work/$dialect.headers" /v1/authorize
    same "$dialect: a device may pass" "200 $id" "$status $(value X-Device-Id)"
done
for name in X-Device-Id X-Device-Model X-Device-Tier X-Device-Segment X-Device-Key-Protection X-Device-Lease Cache-Control Vary; do
    claim "$name stands on an answer that allows" test -n "$(value "$name")"
done
same 'a device without a segment has "-"' - "$(value X-Device-Segment)"
for method in GET HEAD POST PUT PATCH DELETE OPTIONS PROPFIND; do
    [ $method = HEAD ] && option=-I || option=-X$method
    ask nginx "$work/nginx.headers" /v1/authorize $option
    same "$method may ask" 200 "$status"
done
ask nginx "$work/nginx.headers" /v1/authorize --http1.0
same 'HTTP/1.0 may ask' 200 "$status"
head -c 1000000 /dev/zero >"$work/megabyte"
ask traefik "$work/traefik.headers" /v1/authorize --data-binary "@$work/megabyte" -H 'Expect:' -H 'Content-Type: x/y'
same 'a body beyond the plane'\''s limit is thrown away' 200 "$status"
ask traefik "$work/traefik.headers" /v1/authorize --data-binary "@$work/megabyte" -H 'Transfer-Encoding: chunked' -H 'Expect:'
same 'so is one in chunks' 200 "$status"
ask envoy_xfcc "$work/envoy_xfcc.headers" /v1/authorize -H 'Content-Length: 0'
same 'a body of no bytes is none' 200 "$status"
for path in '/v1/authorize?a=b&a=c' '/v1/authorize/-/../../v1/models?x' '/v1/authorize/-//%2e%2e/%00' '/v1/authorize/-'; do
    ask caddy "$work/caddy.headers" "$path"
    same "what follows in $path is not looked at" 200 "$status"
done

# --- header sizes ------------------------------------------------------------------------------------

{ cat "$work/caddy.headers"; printf 'Cookie: '; head -c 65536 /dev/zero | tr '\0' c; } >"$work/bomb"
ask caddy "$work/bomb" /v1/authorize
same '64 KiB of other headers pass' 200 "$status"
{
    printf 'GET /v1/authorize HTTP/1.1\r\nHost: x\r\n%s\r\nCookie: ' "$(cat "$work/caddy.headers")"
    head -c 1048576 /dev/zero | tr '\0' c
    printf '\r\n\r\n'
} >"$work/request"
openssl s_client -quiet -connect "127.0.0.1:$(port_of proxy)" -CAfile "$work/server-ca.pem" -cert "$work/caddy.pem" \
    -key "$work/caddy.key" <"$work/request" >"$work/refusal" 2>/dev/null || :
claim '1 MiB of them does not' sh -c '! grep -q "^HTTP/1.1 200" "$1"' sh "$work/refusal"
ask caddy "$work/caddy.headers" /v1/authorize
same 'and the next request is answered' 200 "$status"

# --- what is refused ---------------------------------------------------------------------------------

: >"$work/none"
for dialect in $dialects; do
    ask $dialect "$work/none" /v1/authorize
    denied "$dialect: no certificate is 401" 401 certificate_required
    claim "$dialect: which says how to authenticate" test -n "$(value WWW-Authenticate)"
    for other in $dialects; do
        [ $other = $dialect ] || cat "$work/$other.headers"
    done >"$work/spoofed"
    ask $dialect "$work/spoofed" /v1/authorize
    denied "$dialect: the headers of all other dialects are nothing" 401 certificate_required
    cat "$work/$dialect.headers" "$work/$dialect.headers" >"$work/twice"
    ask $dialect "$work/twice" /v1/authorize
    denied "$dialect: a header that stands twice is refused" 403 duplicate_certificate_header
    sed 's/^\([^:]*\): .*/\1: x/' "$work/$dialect.headers" | sed 's/Verify: x/Verify: SUCCESS/' >"$work/garbage"
    ask $dialect "$work/garbage" /v1/authorize
    denied "$dialect: garbage is refused" 403 certificate_header_invalid
done
for dialect in nginx envoy_xfcc traefik caddy rfc9440; do
    openssl x509 -in "$work/edge.pem" -out "$work/identity.pem"
    openssl x509 -in "$work/edge.pem" -outform DER -out "$work/identity.der"
    header $dialect "$work/identity.pem" "$work/identity.der" >"$work/identity.headers"
    ask $dialect "$work/identity.headers" /v1/authorize
    denied "$dialect: an identity certificate is no credential" 403 not_a_credential
done
sed 's/SUCCESS/FAILED:certificate has expired/' "$work/nginx.headers" >"$work/failed"
ask nginx "$work/failed" /v1/authorize
denied 'what nginx did not verify is refused' 403 certificate_not_verified
ask proxy "$work/nginx.headers" /v1/authorize
denied 'a proxy without a dialect is refused' 403 no_dialect
ask nginx "$work/nginx.headers" /v1/authorize/open
denied 'a policy that is not the proxy'\''s is refused' 403 policy_not_allowed

# --- policies, and the Unix socket -------------------------------------------------------------------

ask unix "$work/rfc9440.headers" /v1/authorize -I --http1.0
denied 'a policy that does not exist lets nobody in' 403 unknown_policy
jq -n '{name: "strict", models: ["another"]}' >"$work/body"
call admin admin POST /v1/access-policies "$work/body"
answered 'a policy is written' 201
jq -n '{name: "open", minimum_tier: "measured"}' >"$work/body"
call admin admin POST /v1/access-policies "$work/body"
answered 'and another' 201
ask unix "$work/rfc9440.headers" /v1/authorize -I --http1.0
denied 'the default of the Unix socket is its first policy' 403 policy_model
ask unix "$work/rfc9440.headers" /v1/authorize/open -I --http1.0
same 'a path names another of its policies' "200 $id" "$status $(value X-Device-Id)"
ask unix "$work/rfc9440.headers" /v1/authorize/open/strict
same 'and what follows names none' 200 "$status"
ask unix "$work/caddy.headers" /v1/authorize/open
denied 'the Unix socket speaks its own dialect alone' 401 certificate_required
jq -n '{policies: ["strict"]}' >"$work/body"
call admin admin PUT /v1/proxies/caddy "$work/body"
answered 'a proxy is given a policy' 200
ask caddy "$work/caddy.headers" /v1/authorize
denied 'which counts at once' 403 policy_model
call admin admin DELETE /v1/access-policies/strict
answered 'a policy that a proxy names stays' 409 in_use

# --- revocation --------------------------------------------------------------------------------------

echo '{"reason": "lost"}' >"$work/body"
call admin admin POST "/v1/credentials/$serial/revoke" "$work/body"
answered 'the credential is revoked' 200
for dialect in nginx envoy_xfcc traefik rfc9440 fingerprint; do
    ask $dialect "$work/$dialect.headers" /v1/authorize
    denied "$dialect: the very next request is denied" 403 credential_revoked
done
call admin admin GET /metrics
claim 'answers are counted' grep -q '^gatehouse_authorize_total{outcome="denied"} [1-9]' "$answer"
finish
