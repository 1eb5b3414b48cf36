#!/bin/sh
# test: signed results, verified by somebody who has only the gateway's published keys
cd "$(dirname "$0")" && . ./lib.sh

a_gateway edge
enrolled edge
id=$(cat "$work/edge/id")

# result [ACCEPT [QUERY]]: the decision about edge, as a proxy that wants it signed.
result() {
    status=$(curl -sS --max-time 30 -o "$answer" -D "$headers" -w '%{http_code}' --cacert "$work/server-ca.pem" \
        --cert "$work/proxy.pem" --key "$work/proxy.key" -H "Accept: ${1:-application/eat+jwt}" \
        "https://127.0.0.1:$(port_of proxy)/v1/decisions/$id${2-}") || :
}
unbase64() { # base64url, unpadded
    tr -- '-_' '+/' | awk '{ while (length($0) % 4) $0 = $0 "="; print }' | openssl base64 -d -A
}
part() { cut -d . -f "$1" "$answer" | unbase64; }
hex_of() { unbase64 | xxd -p | tr -d '\n'; }
integer() { # HEX: as DER
    digits=$(echo "$1" | sed 's/^\(00\)*//')
    case $digits in [89a-f]*) digits=00$digits ;; esac
    printf '02%02x%s' $((${#digits} / 2)) "$digits"
}
# verifies: the answer's signature holds under the key of the set that its header names.
verifies() {
    kid=$(part 1 | jq -r .kid)
    jq -e --arg k "$kid" '.keys[] | select(.kid == $k and .alg == "ES256" and .use == "sig")' "$work/keys" >"$work/key" || return 1
    point=$(jq -r .x "$work/key" | hex_of)$(jq -r .y "$work/key" | hex_of)
    printf '3059301306072a8648ce3d020106082a8648ce3d03010703420004%s' "$point" | xxd -r -p >"$work/key.der"
    signature=$(cut -d . -f 3 "$answer" | hex_of)
    r=$(integer "$(echo "$signature" | cut -c 1-64)") s=$(integer "$(echo "$signature" | cut -c 65-128)")
    printf '30%02x%s%s' $(((${#r} + ${#s}) / 2)) "$r" "$s" | xxd -r -p >"$work/signature"
    printf '%s' "$(cut -d . -f 1,2 "$answer")" >"$work/signed"
    openssl dgst -sha256 -keyform DER -verify "$work/key.der" -signature "$work/signature" "$work/signed"
}
about() { part 2 | jq -r --arg id "$id" ".submods[\$id] | $1"; }

call public - GET /.well-known/jwks.json
answered 'the keys are published' 200
cp "$answer" "$work/keys"
same 'none of them is private' 0 "$(jq '[.keys[] | select(has("d") or has("p"))] | length' "$work/keys")"

result
answered 'a decision can be had as a token' 200
claim 'which verifies with the published keys' verifies
same 'it is what it says it is' 'ES256 eat+jwt' "$(part 1 | jq -r '"\(.alg) \(.typ)"')"
same 'it affirms the device' affirming "$(about '."ear.status"')"
same 'it names the decision' 'allow measured' "$(about '"\(."gatehouse.decision") \(."gatehouse.tier")"')"
same 'it is short-lived' true "$(part 2 | jq '.exp > .iat and .exp - .iat <= 300')"
sed 's/\.\(.\)/.X\1/' "$answer" >"$work/changed" && mv "$work/changed" "$answer"
if verifies >/dev/null 2>&1; then not_ok 'a token that was changed does not verify'; else ok 'a token that was changed does not verify'; fi

result application/eat+jwt '?nonce=AAECAwQFBgcICQoLDA0ODw'
same 'a nonce comes back in it' AAECAwQFBgcICQoLDA0ODw "$(part 2 | jq -r .eat_nonce)"
result application/eat+jwt '?nonce=short'
answered 'a nonce that is none is refused' 400 invalid_parameter
result text/html
answered 'another form is not to be had' 406 not_acceptable
result '*/*'
same 'who does not ask for it gets JSON' "allow" "$(field .decision)"

printf '{"reason":"lost"}' >"$work/body"
call admin admin POST "/v1/devices/$id/quarantine" "$work/body"
answered 'the device is quarantined' 200
result
claim 'the next token verifies' verifies
same 'and affirms nothing' 'contraindicated deny' "$(about '"\(."ear.status") \(."gatehouse.decision")"')"
same 'not one claim of its vector does' true "$(about '."ear.trustworthiness-vector" | [.[]?] | all(. == 0 or . >= 32)')"

# --- the key rolls over ------------------------------------------------------------------------------

result
cp "$answer" "$work/before"
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$gateway/ca/next.key" 2>/dev/null
chmod 600 "$gateway/ca/next.key"
gateway_stop
export GATEHOUSE_SIGNER_RESULTS_KEYS="$gateway/ca/next.key,$gateway/ca/results.key"
must 'the gateway starts with another key before the old one' gateway_start
call public - GET /.well-known/jwks.json
cp "$answer" "$work/keys"
result
claim 'the new key signs' verifies
same 'and is another' yes "$(test "$(part 1 | jq -r .kid)" != "$(cut -d . -f 1 "$work/before" | unbase64 | jq -r .kid)" && echo yes)"
cp "$work/before" "$answer"
claim 'what the old one signed still verifies' verifies
finish
