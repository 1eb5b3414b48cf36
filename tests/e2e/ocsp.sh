#!/bin/sh
# test: OCSP as openssl and nginx ask it
cd "$(dirname "$0")" && . ./lib.sh

a_gateway edge other
enrolled edge other
ca=$gateway/ca/access.pem
for device in edge other; do
    device_attests $device
    field .credential.certificate >"$work/$device-credential.pem"
    field .credential.serial >"$work/$device.serial"
    cp "$work/$device/tls.key" "$work/$device-credential.key"
done
url=http://127.0.0.1:$(port_of public)/v1/ocsp

# asked OPTION...: what openssl makes of the answer, its responder believed for the authority's delegation alone.
asked() { openssl ocsp -url "$url" -issuer "$ca" -CAfile "$ca" "$@" 2>&1; }
# standing FILE OPTION...: verified or not, and what is said of the certificate.
standing() {
    file=$1
    shift
    asked "$@" -cert "$file" >"$work/said"
    echo "$(grep -c '^Response verify OK' "$work/said") $(sed -n "s|^$file: ||p" "$work/said")"
}
revoked() { # DEVICE
    echo '{"reason": "key_compromise"}' >"$work/body"
    call admin admin POST "/v1/credentials/$(cat "$work/$1.serial")/revoke" "$work/body"
    [ "$status" = 200 ]
}
# fetched PATH [OPTION...]: into $answer, its headers into $headers.
fetched() {
    path=$1
    shift
    : >"$answer"
    status=$(curl -sS --max-time 10 --path-as-is -o "$answer" -D "$headers" -w '%{http_code}' "$@" "$url$path" 2>"$work/curl.err") || :
}
header() { sed -n "s/^$1: \(.*\)\r$/\1/ip" "$headers"; }

# --- openssl -----------------------------------------------------------------------------------------

for hash in sha1 sha256; do
    for nonce in -nonce -no_nonce; do
        same "a credential is good ($hash, $nonce)" '1 good' "$(standing "$work/edge-credential.pem" -$hash $nonce)"
    done
    claim "a nonce comes back ($hash)" sh -c '! grep -qi nonce "$1"' sh "$work/said"
done
asked -serial 0x4000000000000000000000000000000f >"$work/said"
claim 'a serial number that was never given is unknown' grep -q ': unknown$' "$work/said"
claim 'and that is signed as well' grep -q '^Response verify OK' "$work/said"
asked -cert "$work/edge-credential.pem" -cert "$work/other-credential.pem" -serial 7 >"$work/said"
same 'several are asked at once' 'good good unknown' "$(sed -n 's/^.*: \(good\|unknown\|revoked\)$/\1/p' "$work/said" | paste -s -d ' ')"
openssl ocsp -url "$url" -issuer "$gateway/ca/identity.pem" -cert "$work/edge.pem" -CAfile "$ca" >"$work/said" 2>&1
claim 'an authority that is not asked about here is unauthorized' grep -q 'unauthorized' "$work/said"
openssl ocsp -url "$url" -issuer "$ca" -cert "$work/edge-credential.pem" -CAfile "$gateway/ca/identity.pem" >"$work/said" 2>&1
claim 'the answer is not believed for another authority' sh -c '! grep -q "Response verify OK" "$1"' sh "$work/said"

openssl ocsp -issuer "$ca" -cert "$work/edge-credential.pem" -no_nonce -reqout "$work/request" >/dev/null 2>&1
fetched '' -H 'Content-Type: application/ocsp-request' --data-binary "@$work/request"
openssl ocsp -issuer "$ca" -CAfile "$ca" -cert "$work/edge-credential.pem" -no_nonce -respin "$answer" -resp_text >"$work/said" 2>&1
claim 'the responder is for OCSP only and is not asked about itself' sh -c '
    grep -q "OCSP Signing" "$1" && grep -q "OCSP No Check" "$1" && ! grep -q "TLS Web" "$1"' sh "$work/said"

# --- GET ---------------------------------------------------------------------------------------------

base64=$(base64 -w 0 "$work/request")
escaped=$(printf '%s' "$base64" | sed 's/+/%2B/g; s|/|%2F|g; s/=/%3D/g')
for form in "$base64" "$escaped"; do
    fetched "/$form"
    same 'GET is answered' '200 application/ocsp-response' "$status $(header content-type)"
    claim 'with a good answer' sh -c 'openssl ocsp -issuer "$1" -CAfile "$1" -cert "$2" -no_nonce -respin "$3" | grep ": good$"' \
        sh "$ca" "$work/edge-credential.pem" "$answer"
done
etag=$(header etag)
claim 'which caches may keep' sh -c 'case $1 in max-age=[1-9]*", public, no-transform, must-revalidate") ;; *) false ;; esac' sh "$(header cache-control)"
claim 'for ten minutes at most' test "$(header cache-control | sed 's/max-age=\([0-9]*\).*/\1/')" -le 600
fetched "/$escaped" -H "If-None-Match: $etag"
same 'and ask after' '304 0' "$status $(wc -c <"$answer" | tr -d ' ')"
fetched "/$escaped" -H "If-Modified-Since: $(header last-modified)"
same 'a date is not enough: two answers may be of one second' 200 "$status"
fetched "/$escaped" -I
same 'HEAD says the same' "200 $etag" "$status $(header etag)"
fetched /AAAA
same 'an error of OCSP is an answer, and not kept' '200 no-store' "$status $(header cache-control)"
same 'which says malformedRequest' 30030a0101 "$(xxd -p "$answer")"
fetched '' -H 'Content-Type: application/json' --data-binary '{}'
same 'another media type is none' 415 "$status"
head -c 300000 /dev/zero >"$work/large"
fetched '' -H 'Content-Type: application/ocsp-request' --data-binary "@$work/large"
same 'nor is a large body' 413 "$status"

# --- revocation --------------------------------------------------------------------------------------

must 'a credential is revoked' revoked edge
same 'the next answer says so' '1 revoked' "$(standing "$work/edge-credential.pem" -no_nonce)"
claim 'with the time' grep -q 'Revocation Time: ' "$work/said"
claim 'and the reason' grep -q 'Reason: keyCompromise' "$work/said"
fetched "/$escaped" -H "If-None-Match: $etag"
same 'a cache that asks after hears of it' 200 "$status"
same 'another is good still' '1 good' "$(standing "$work/other-credential.pem" -nonce)"
gateway_stop
GATEHOUSE_PUBLIC_URL=http://127.0.0.1:$(port_of public)
GATEHOUSE_PUBLIC_LISTEN=${GATEHOUSE_PUBLIC_URL#http://}
GATEHOUSE_OCSP_LIFETIME=60
export GATEHOUSE_PUBLIC_URL GATEHOUSE_PUBLIC_LISTEN GATEHOUSE_OCSP_LIFETIME
must 'the gateway starts again' gateway_start
same 'it still says so after a restart' '1 revoked' "$(standing "$work/edge-credential.pem" -nonce)"
claim 'and why' grep -q 'Reason: keyCompromise' "$work/said"
device_attests edge
field .credential.certificate >"$work/new.pem"
same 'a credential says where to ask' "$url" "$(openssl x509 -in "$work/new.pem" -noout -ocsp_uri)"
same 'and is good there' '1 good' "$(standing "$work/new.pem" -no_nonce)"
fetched "/$escaped"
claim 'answers hold for as long as is set' test "$(header cache-control | sed 's/max-age=\([0-9]*\).*/\1/')" -le 60

# --- nginx -------------------------------------------------------------------------------------------

# nginx refuses what its responder calls revoked, and what it cannot ask about.
nginx=$(for n in .deps/proxies/usr/sbin/nginx /usr/sbin/nginx; do [ ! -x "$root/$n" ] && [ ! -x "$n" ] || { echo "$n"; break; }; done)
case $nginx in .deps/*) nginx=$root/$nginx ;; esac
nginx_listens() { curl -sS --max-time 2 -o /dev/null -k "https://127.0.0.1:$nginx_port/" 2>/dev/null; }
nginx_start() {
    mkdir -p "$work/nginx"
    for nginx_port in $(shuf -i 20000-60000 -n 20); do
        cat >"$work/nginx/nginx.conf" <<END
worker_processes 1;
daemon off;
pid $work/nginx/pid;
error_log $work/nginx/error.log info;
$([ "$(id -u)" -ne 0 ] || echo 'user root;')
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path $work/nginx; proxy_temp_path $work/nginx; fastcgi_temp_path $work/nginx;
    uwsgi_temp_path $work/nginx; scgi_temp_path $work/nginx;
    server {
        listen 127.0.0.1:$nginx_port ssl;
        ssl_certificate $gateway/server.pem;
        ssl_certificate_key $gateway/server.key;
        ssl_client_certificate $ca;
        ssl_verify_client optional;
        ssl_session_tickets off;
        ssl_session_cache off;
        ssl_ocsp leaf;
        ssl_ocsp_responder $url;
        location / { return 200 "\$ssl_client_verify"; }
    }
}
END
        "$nginx" -p "$work/nginx" -c "$work/nginx/nginx.conf" >/dev/null 2>"$work/nginx.err" &
        nginx_pid=$!
        started="$started $nginx_pid"
        wait_for 5 nginx_listens && ! ended $nginx_pid && return
        stop_process $nginx_pid
    done
    cat "$work/nginx.err"
    return 1
}
# admitted DEVICE: how nginx answers it.
admitted() {
    curl -sS --max-time 10 -k -w ' %{http_code}' --cert "$work/$1-credential.pem" --key "$work/$1-credential.key" \
        "https://127.0.0.1:$nginx_port/" 2>/dev/null | head -n 1 | cut -c 1-60
}
if [ -z "$nginx" ]; then
    skip 'nginx asks before it admits a device' 'nginx is not there'
    finish
fi
must 'nginx starts' nginx_start
same 'nginx admits a device whose credential is good' 'SUCCESS 200' "$(admitted other)"
claim 'and not one whose credential is revoked' sh -c 'case $1 in *SUCCESS*) exit 1 ;; esac' sh "$(admitted edge)"
claim 'because of what it was told' grep -q 'certificate revoked' "$work/nginx/error.log"
must 'the other one is revoked' revoked other
claim 'the next connection is refused' sh -c 'case $1 in *SUCCESS*) exit 1 ;; esac' sh "$(admitted other)"
finish
