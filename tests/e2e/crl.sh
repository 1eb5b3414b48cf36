#!/bin/sh
# test: lists of what is revoked, as openssl, nginx and HAProxy read them
cd "$(dirname "$0")" && . ./lib.sh
# shellcheck source=tests/e2e/proxy_lib.sh
. ./tests/e2e/proxy_lib.sh

public=$(free_port)
export GATEHOUSE_PUBLIC_LISTEN="127.0.0.1:$public" GATEHOUSE_PUBLIC_URL="http://127.0.0.1:$public"
a_gateway edge other
enrolled edge other
must 'edge has a credential' credential edge
must 'other has one' credential other
ca=$gateway/ca/access.pem
lists=$work/lists.pem

get() { # PATH FILE [CURL-OPTION...]: leaves the status in $status
    at=$1 to=$2
    shift 2
    status=$(curl -sS --max-time 30 -o "$to" -D "$headers" -w '%{http_code}' "$@" "http://127.0.0.1:$public$at")
}
header() { tr -d '\r' <"$headers" | sed -n "s/^$1: //Ip"; }
listed() { # DEVICE: on the list of now
    get /v1/crl/access.crl "$work/now.crl" &&
        openssl crl -inform DER -in "$work/now.crl" -noout -text | grep -qi "Serial Number: $(cat "$work/$1.serial")"
}
entries() { openssl crl -inform DER -in "$1" -noout -text | grep -c 'Serial Number:'; } # FILE
verifies() { # DEVICE: as whoever checks it against the lists
    get /v1/crl/access.pem "$lists"
    openssl verify -purpose sslclient -crl_check -CAfile "$ca" -CRLfile "$lists" "$work/$1-credential.pem"
}
refused_as_revoked() { ! verifies "$1" >"$work/verify.out" 2>&1 && grep -q 'certificate revoked' "$work/verify.out"; }
list_of() { openssl x509 -in "$work/$1-credential.pem" -noout -text | sed -n 's/^ *URI:\(.*crl\)$/\1/p'; } # DEVICE
named() { # WORD: the URL that edge's credential has for it
    openssl x509 -in "$work/edge-credential.pem" -noout -text | sed -n "s/^ *$1URI://p"
}

# --- what credentials say ------------------------------------------------------------------------------

crl=$(list_of edge)
same 'a credential says where its list is, and by which authority' "http://127.0.0.1:$public/v1/crl/" "${crl%/*}/"
must 'it is there' curl -sSf -o "$work/named.crl" "$crl"
claim 'and is of the authority that signed the credential' \
    openssl crl -inform DER -in "$work/named.crl" -noout -verify -CAfile "$ca"
must 'so is the authority' curl -sSf -o "$work/issuer.cer" "$(named 'CA Issuers - ')"
openssl x509 -in "$ca" -outform DER -out "$work/access.der"
claim 'which is the one' cmp "$work/access.der" "$work/issuer.cer"
same 'and OCSP' "http://127.0.0.1:$public/v1/ocsp" "$(named 'OCSP - ')"

# --- the list ------------------------------------------------------------------------------------------

get /v1/crl/access.crl "$work/first.crl"
same 'a list is there before anything is revoked' 200 "$status"
same 'of the media type of RFC 5280' application/pkix-crl "$(header Content-Type)"
same 'with nothing on it' 0 "$(entries "$work/first.crl")"
claim 'a credential holds against it' verifies edge
get /v1/crl/access.crl "$work/first.crl"
etag=$(header ETag)
: >"$work/nothing"
get /v1/crl/access.crl "$work/nothing" -H "If-None-Match: $etag"
same 'who has it is told so' "304 0" "$status $(wc -c <"$work/nothing")"
modified=$(header Last-Modified)
get /v1/crl/access.crl "$work/nothing" -H "If-Modified-Since: $modified"
same 'a date is not enough: two lists may be of one second' 200 "$status"
get /v1/crl/access.crl "$work/nothing" -I
same 'HEAD says how long it is' "200 $(wc -c <"$work/first.crl")" "$status $(header Content-Length)"

# --- proxies that check by list --------------------------------------------------------------------------

must 'the application' application_start
cat "$gateway/server.pem" "$gateway/server.key" >"$work/site.both"
nginx_conf() {
    cat <<END
server {
    listen 127.0.0.1:$1 ssl;
    ssl_certificate $gateway/server.pem;
    ssl_certificate_key $gateway/server.key;
    ssl_client_certificate $ca;
    ssl_verify_client on;
    ssl_crl $lists;
    location / { proxy_pass http://127.0.0.1:$application; }
}
END
}
haproxy_conf() {
    cat <<END
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
frontend site
    bind 127.0.0.1:$1 ssl crt $work/site.both ca-file $ca crl-file $lists verify required
    default_backend application
backend application
    server application 127.0.0.1:$application
END
}
# proxy_with_lists KIND: runs it with the lists as they are.
proxy_with_lists() {
    listens=$(free_port)
    "$1_conf" "$listens" >"$work/$1.conf"
    proxy_start "$1" "$listens" "$work/$1.conf"
}
# asked KIND: the proxy is, where there is one.
asked() {
    proxy_program "$1" >/dev/null && return
    skip "$1 refuses by its list" "$1 is not installed"
    return 1
}
for kind in nginx haproxy; do
    asked "$kind" || continue
    must 'the lists' get /v1/crl/access.pem "$lists"
    must "$kind runs" proxy_with_lists "$kind"
    for device in edge other; do
        through "$listens" "$device-credential"
        same "$kind lets a device pass that is on no list: $device" 200 "$status"
    done
    stop_process "$proxy_pid"
done

# --- a revocation ----------------------------------------------------------------------------------------

must 'edge is revoked' revoked edge
claim 'the list has it' wait_for 10 listed edge
same 'and nothing else' 1 "$(entries "$work/now.crl")"
get /v1/crl/access.crl "$work/second.crl" -H "If-None-Match: $etag"
same 'who has the old one gets the new one' 200 "$status"
number() { openssl crl -inform DER -in "$1" -noout -crlnumber | sed 's/.*=0x//' | tr a-f A-F; }
claim 'with a higher number' test "$(printf '%s\n' "$(number "$work/first.crl")" "$(number "$work/second.crl")" | sort | tail -n 1)" \
    = "$(number "$work/second.crl")"
claim 'openssl refuses it as revoked' refused_as_revoked edge
claim 'and takes the other' verifies other
for kind in nginx haproxy; do
    asked "$kind" || continue
    must "$kind runs with the new list" proxy_with_lists "$kind"
    now_refused
    through "$listens" edge-credential
    refused "$kind refuses what is on the list"
    through "$listens" other-credential
    same "$kind lets the other pass" 200 "$status"
    stop_process "$proxy_pid"
done

# --- a restart, and the next epoch -----------------------------------------------------------------------

before=$(number "$work/second.crl")
gateway_stop
must 'the gateway starts again' gateway_start
claim 'the list has it at once' listed edge
claim 'numbers go on after a restart' test "$(printf '%s\n' "$before" "$(number "$work/now.crl")" | sort | tail -n 1)" != "$before"

must 'gatehouse ca rotate' "$gatehouse" ca rotate --config "$gateway/gatehouse.ini" --overlap 3s --retire-after 2h
kill -HUP "$gateway_pid"
two_lists() {
    get /v1/crl/access.pem "$lists" && [ "$(grep -c 'BEGIN X509 CRL' "$lists")" = 2 ]
}
claim 'the next authority has a list before it signs' wait_for 15 two_lists
turned() {
    credential other && [ "$(list_of other)" != "$crl" ]
}
must 'it signs' wait_for 30 turned
must 'what it signed is revoked' revoked other
other_listed() {
    curl -sS -o "$work/next.crl" "$(list_of other)" &&
        openssl crl -inform DER -in "$work/next.crl" -noout -text | grep -qi "Serial Number: $(cat "$work/other.serial")"
}
claim 'that is on the list of its own authority' wait_for 10 other_listed
same 'alone' 1 "$(entries "$work/next.crl")"
must 'the list of the one before' curl -sSf -o "$work/before.crl" "$crl"
same 'has its own' 1 "$(entries "$work/before.crl")"
claim 'edge is still refused' refused_as_revoked edge
get /v1/ca/access.pem "$work/both.pem"
ca=$work/both.pem
claim 'and so is other, with both lists' refused_as_revoked other

# --- what has expired leaves it --------------------------------------------------------------------------

if command -v sqlite3 >/dev/null; then
    gateway_stop
    sqlite3 "$gateway/gatehouse.db" "UPDATE credential SET not_after = unixepoch() - 7200 WHERE revoked <> 0"
    must 'the gateway starts' gateway_start
    curl -sSf -o "$work/before.crl" "$crl"
    same 'what expired before the last list is on none' 0 "$(entries "$work/before.crl")"
else
    skip 'what expired before the last list is on none' 'sqlite3 is not installed'
fi
finish
