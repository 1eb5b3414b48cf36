#!/bin/sh
# test: nginx, HAProxy and Caddy with the configurations that gatehouse proxy-config prints
cd "$(dirname "$0")" && . ./lib.sh
# shellcheck source=tests/e2e/proxy_lib.sh
. ./tests/e2e/proxy_lib.sh

GATEHOUSE_PROXY_LISTEN=127.0.0.1:$(free_port) # the same when it starts anew
export GATEHOUSE_PROXY_LISTEN
a_gateway edge lost
enrolled edge lost
must 'edge has a credential' credential edge
must 'lost has one' credential lost
# The certificate is as good as before, to whoever does not ask.
must 'which is revoked' revoked lost
cp "$work/edge.pem" "$work/identity.pem"
cp "$work/edge.key" "$work/identity.key"
id=$(cat "$work/edge/id")
must 'the application' application_start

# The other dialects' ways to say who somebody is: edge's certificate, in headers.
pem=$work/edge-credential.pem
der=$(openssl x509 -in "$pem" -outform DER | base64 -w 0)
sha256=$(openssl x509 -in "$pem" -outform DER | sha256sum | cut -d ' ' -f 1)
escaped=$(openssl x509 -in "$pem" | jq -rR --slurp @uri)
spoofs() { # one a line: what curl is to send
    printf '%s\n' "X-SSL-Client-Cert: $escaped" "X-Forwarded-Client-Cert: Hash=$sha256;Cert=\"$escaped\"" \
        "X-Forwarded-Tls-Client-Cert: $der" "X-Client-Cert: $der" "Client-Cert: :$der:" "X-Client-Cert-Sha256: $sha256" \
        "X_SSL_Client_Cert: $escaped" "X_Client_Cert: $der" "Client_Cert: :$der:"
}

# what_holds KIND PORT: with the gateway running.
what_holds() {
    through "$2" edge-credential
    same "$1: a device with a credential passes" 200 "$status"
    same "$1: and the application learns which one it is" "$id acme-edge9" "$(told X-Device-Id) $(told X-Device-Model)"
    for header in Tier Segment Key-Protection Lease; do
        claim "$1: and its X-Device-$header" test -n "$(told "X-Device-$header")"
    done

    now_refused
    through "$2" -
    refused "$1: who shows no certificate is refused"
    through "$2" identity
    refused "$1: a certificate of the identity authority is refused"
    through "$2" lost-credential
    refused "$1: a revoked credential is refused"
    spoofs >"$work/spoofs"
    while IFS= read -r header; do
        now_refused
        for as in - lost-credential; do
            through "$2" $as -H "$header" -H 'X-SSL-Client-Verify: SUCCESS'
            refused "$1: so is $([ $as = - ] && echo nobody || echo a revoked one) with another's certificate as ${header%%:*}"
        done
    done <"$work/spoofs"

    through "$2" edge-credential -H 'X-Device-Id: x' -H 'x-device-tier: x' -H 'X-Device-Segment: x' -H 'X-Device-Id: y' \
        -H 'X_Device_Id: x' -H 'X-Device_Id: x' -H 'X-Device-Model: x' -H 'X-Device-Lease: x' -H 'X-Device-Key-Protection: x'
    same "$1: a device passes that claims to be another" 200 "$status"
    same "$1: and is known as itself" "$id acme-edge9" "$(told X-Device-Id) $(told X-Device-Model)"
    claim "$1: and nothing of what it claimed reaches the application" sh -c '! grep -Eiq "^x[-_]device[^:]*: *[xy]\$" "$1"' sh "$answer"
    through "$2" edge-credential -H 'Connection: close, X-Device-Id, X-Device-Tier'
    same "$1: it cannot name its headers away either" "200 $id" "$status $(told X-Device-Id)"
    through "$2" edge-credential -H "Client-Cert: x" -H "X-Client-Cert: x" -H "X-SSL-Client-Cert: x" -H 'X-Forwarded-Client-Cert: x' \
        -H 'X-Forwarded-Tls-Client-Cert: x'
    claim "$1: no certificate header of the client's reaches the application" sh -c \
        '! grep -Eiq "client-cert: *x" "$1"' sh "$answer"
    through "$2" edge-credential --data-binary "@$gateway/server.pem"
    same "$1: a request with a body passes with its body" 200 "$status"
    many=$(curl -sS --max-time 60 --parallel --parallel-immediate --parallel-max 30 --cacert "$work/server-ca.pem" \
        --cert "$work/edge-credential.pem" --key "$work/edge-credential.key" "https://localhost:$2/page?[1-90]" 2>/dev/null |
        tr -d '\r' | grep -ic "^x-device-id: $id\$")
    same "$1: ninety requests at once pass" 90 "$many"
    claim "$1: gatehouse doctor finds nothing wrong" doctor "$1" "$2" \
        --refused-cert "$work/lost-credential.pem" --refused-key "$work/lost-credential.key"
}

doctor() { # KIND PORT [OPTION...]
    doctor_kind=$1 doctor_port=$2
    shift 2
    "$gatehouse" doctor --proxy "https://localhost:$doctor_port/page" --ca "$work/server-ca.pem" --kind "$doctor_kind" \
        --cert "$work/edge-credential.pem" --key "$work/edge-credential.key" "$@" --echo /echo
}

# closed KIND PORT: with the gateway stopped.
closed() {
    now_refused
    through "$2" edge-credential
    refused "$1: without the gateway nobody passes"
    claim "$1: as gatehouse doctor finds" doctor "$1" "$2" --gateway-stopped
}

set -- nginx:nginx haproxy:rfc9440 caddy:caddy
kinds=''
for entry in "$@"; do
    kind=${entry%:*}
    if ! proxy_program "$kind" >/dev/null; then
        skip "$kind guards an application" "there is no $kind: make deps brings it"
        continue
    fi
    must "$kind is registered" proxy_registered "$kind" "${entry#*:}"
    free_port >"$work/$kind.port"
    # shellcheck disable=SC2046 # words
    proxy_config "$kind" "$(cat "$work/$kind.port")" $(proxy_identity "$kind") >"$work/$kind.conf" 2>"$work/config.err"
    must "$kind gets a configuration" test -s "$work/$kind.conf"
    must "$kind starts" proxy_start "$kind" "$(cat "$work/$kind.port")" "$work/$kind.conf"
    kinds="$kinds $kind"
    what_holds "$kind" "$(cat "$work/$kind.port")"
done

gateway_stop
for kind in $kinds; do closed "$kind" "$(cat "$work/$kind.port")"; done
must 'the gateway starts again' gateway_start
for kind in $kinds; do
    through "$(cat "$work/$kind.port")" edge-credential
    same "$kind: it opens again with the gateway" "200 $id" "$status $(told X-Device-Id)"
done
finish
