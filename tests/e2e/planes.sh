#!/bin/sh
# test: who may connect to which plane, and what each plane knows
cd "$(dirname "$0")" && . ./lib.sh

a_gateway edge
enrolled edge
field .credential.certificate >"$work/credential.pem"
cp "$work/edge/tls.key" "$work/credential.key"

# certificate NAME SUBJECT [CA]: an EC key and a certificate, self-signed or by $work/CA.
certificate() {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$2" -keyout "$work/$1.key" \
        -out "$work/$1.csr" 2>/dev/null
    if [ $# -gt 2 ]; then
        set -- "$1" -CA "$work/$3.pem" -CAkey "$work/$3.key" -set_serial "0x$(openssl rand -hex 8)"
    else
        set -- "$1" -signkey "$work/$1.key"
    fi
    name=$1
    shift
    openssl x509 -req -in "$work/$name.csr" "$@" -days 2 -out "$work/$name.pem" 2>/dev/null
}

# A stranger, and someone whose CA has the name of ours.
must 'a stranger' certificate stranger "$(cat "$work/edge/id")"
subject=$(openssl x509 -in "$gateway/ca/identity.pem" -noout -subject -nameopt multiline | sed -n 's/.*commonName *= //p')
must 'a CA of the same name' certificate namesake-ca "$subject"
must 'its certificate' certificate namesake "$(cat "$work/edge/id")" namesake-ca

reached() { # PLANE AS PATH: what it gets
    call "$1" "$2" GET "$3"
    echo "$status"
}

same 'a device reaches the device plane' 200 "$(reached device edge /v1/self)"
same 'a proxy reaches the proxy plane' 200 "$(reached proxy proxy "/v1/decisions/$(cat "$work/edge/id")")"
same 'an operator reaches the admin plane' 200 "$(reached admin admin /v1/devices)"

for who in - stranger namesake credential proxy admin; do
    same "$who gets no connection to the device plane" 000 "$(reached device $who /v1/self)"
done
for who in - stranger namesake credential edge admin; do
    same "$who gets no connection to the proxy plane" 000 "$(reached proxy $who "/v1/decisions/$(cat "$work/edge/id")")"
done
for who in - stranger namesake credential edge proxy; do
    same "$who gets no connection to the admin plane" 000 "$(reached admin $who /v1/devices)"
done
# A certificate and somebody else's chain.
cat "$work/stranger.pem" "$work/edge.pem" >"$work/bag.pem"
cp "$work/stranger.key" "$work/bag.key"
same 'a stranger with a good certificate in the bag gets no connection' 000 "$(reached device bag /v1/self)"
cp "$work/edge.pem" "$work/thief.pem"
cp "$work/stranger.key" "$work/thief.key"
same 'a good certificate without its key gets no connection' 000 "$(reached device thief /v1/self)"

# --- each plane knows its own routes -----------------------------------------------------------------

for path in /v1/self /v1/devices /v1/decisions/00000000000000000000000000000000 /metrics; do
    same "the enrol plane does not know $path" 404 "$(reached enrol - $path)"
done
for path in /v1/devices /v1/models /v1/audit /v1/decisions/00000000000000000000000000000000 /metrics; do
    same "the device plane does not know $path" 404 "$(reached device edge $path)"
done
for path in /v1/devices /v1/self /v1/audit; do
    same "the proxy plane does not know $path" 404 "$(reached proxy proxy $path)"
done
for path in /v1/self /v1/decisions/00000000000000000000000000000000; do
    same "the admin plane does not know $path" 404 "$(reached admin admin $path)"
done
for path in /v1/devices /v1/self /v1/audit /v1/fleet /metrics; do
    same "the public plane does not know $path" 404 "$(reached public - $path)"
done
same 'the public plane knows /healthz' 200 "$(reached public - /healthz)"
call public - GET /v1/ca/access.pem
claim 'and the authority of credentials, which verifies one' sh -c '
    openssl verify -purpose sslclient -CAfile "$1" "$2"' sh "$answer" "$work/credential.pem"
call public - GET /v1/ca/identity.pem
claim 'and not with the authority of identities' sh -c '! openssl verify -CAfile "$1" "$2"' sh "$answer" "$work/credential.pem"

for path in '/v1/../v1/devices' '//v1/devices' '/v1/devices/' '/v1/devices%00' '/v1/%64evices/..'; do
    status=$(curl -sS --path-as-is --max-time 10 -o "$answer" -w '%{http_code}' --cacert "$work/server-ca.pem" \
        --cert "$work/admin.pem" --key "$work/admin.key" "https://127.0.0.1:$(port_of admin)$path" 2>/dev/null)
    claim "the path $path is not tidied up into another" test "$status" -ge 400
done

# --- TLS ---------------------------------------------------------------------------------------------

hello() { # OPTION...: what the handshake of openssl ends in
    openssl s_client -connect "127.0.0.1:$(port_of device)" -CAfile "$work/server-ca.pem" -cert "$work/edge.pem" \
        -key "$work/edge.key" "$@" </dev/null 2>&1
}
claim 'TLS 1.3 is spoken' sh -c 'printf "%s" "$1" | grep -q "New, TLSv1.3"' sh "$(hello)"
claim 'TLS 1.2 is not' sh -c '! printf "%s" "$1" | grep -q "New, TLSv1.2"' sh "$(hello -tls1_2)"
claim 'the server proves its name' sh -c 'printf "%s" "$1" | grep -q "Verify return code: 0"' sh "$(hello -verify_hostname localhost)"
hello -sess_out "$work/session" >/dev/null
claim 'nothing is resumed' test ! -s "$work/session"
printf 'GET /v1/self HTTP/1.1\r\n\r\n' >"$work/plain"
status=$(curl -sS --max-time 10 -o "$answer" -w '%{http_code}' "http://127.0.0.1:$(port_of admin)/v1/devices" 2>/dev/null) || status=000
same 'plain HTTP on a TLS plane gets no answer' 000 "$status"

# --- the Unix socket ---------------------------------------------------------------------------------

gateway_stop
export GATEHOUSE_PROXY_LISTEN="127.0.0.1:0,unix:$work/proxy.sock"
must 'it serves a Unix socket beside' gateway_start
id=$(cat "$work/edge/id")
claim 'the Unix socket answers a decision without a certificate' sh -c '
    curl -sS --max-time 10 --unix-socket "$1" "http://localhost/v1/decisions/$2" | jq -e ".decision == \"allow\""' \
    sh "$work/proxy.sock" "$id"
same 'its permissions are those of the configuration' 660 "$(stat -c %a "$work/proxy.sock")"
same 'the TCP side of the plane still asks for a certificate' 000 "$(reached proxy - "/v1/decisions/$id")"
jq -n --arg id "$id" '{subjects: [{device_id: $id}, {device_id: "0"}, {serial: "00"}, {device_id: $id}]}' >"$work/body"
claim 'it decides in batches, in order' sh -c '
    curl -sS --max-time 10 --unix-socket "$1" -H "Content-Type: application/json" --data-binary "@$2" \
        http://localhost/v1/decisions | tee "$3" |
        jq -e "[(.decisions // .)[] | .decision + \" \" + .reason] | . == [\"allow trusted\", \"deny unknown_device\",
            \"deny unknown_credential\", \"allow trusted\"]"' sh "$work/proxy.sock" "$work/body" "$answer"
gateway_stop
claim 'the socket is gone when the gateway is' test ! -e "$work/proxy.sock"
finish
