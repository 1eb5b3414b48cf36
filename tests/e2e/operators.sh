#!/bin/sh
# test: operators: certificates that are rotated, what takes two people, lock-out, and registering on the host
cd "$(dirname "$0")" && . ./lib.sh

export GATEHOUSE_ADMIN_TWO_PERSON=baseline_approval,bulk_revoke
a_gateway edge
enrolled edge

sha256_of() { openssl x509 -in "$work/$1.pem" -outform DER | sha256sum | cut -d ' ' -f 1; }
certificate_body() { jq -n --rawfile pem "$work/$1.pem" '{certificate: $pem}' >"$work/body"; }

# --- rotation: the next certificate before the last one goes ---------------------------------------------

must 'a second certificate is made' gateway_certifies admin-2 operators
must 'a certificate of others is made' gateway_certifies stranger proxies
certificate_body stranger
call admin admin POST /v1/operators/admin/certificates "$work/body"
answered 'a certificate that admin.anchors do not vouch for is not added' 422 certificate_untrusted
call admin admin-2 GET /v1/models
answered 'a certificate that is not registered is refused' 403 forbidden
certificate_body admin-2
call admin admin POST /v1/operators/admin/certificates "$work/body"
answered 'an admin adds their next certificate' 201
same 'both are listed' "$(printf '%s\n' "$(sha256_of admin)" "$(sha256_of admin-2)" | sort)" "$(field '.certificates[].sha256' | sort)"
call admin admin-2 GET /v1/models
answered 'the new one works' 200
call admin admin DELETE "/v1/operators/admin/certificates/$(sha256_of admin)"
answered 'the one in use is not removed' 409 own_certificate

# A connection that is open with the old certificate while it is removed.
mkfifo "$work/requests"
openssl s_client -quiet -ign_eof -connect "127.0.0.1:$(port_of admin)" -CAfile "$work/server-ca.pem" -cert "$work/admin.pem" \
    -key "$work/admin.key" <"$work/requests" >"$work/answers" 2>/dev/null &
started="$started $!"
exec 9>"$work/requests"
ask() { printf 'GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n' >&9; }
ask
claim 'a connection with the old one is answered' wait_for 10 grep -q '^HTTP/1.1 200' "$work/answers"
call admin admin-2 DELETE "/v1/operators/admin/certificates/$(sha256_of admin)"
answered 'the new one removes the old one' 204
ask
claim 'the open connection is refused from then on' wait_for 10 grep -q 'HTTP/1.1 403' "$work/answers"
exec 9>&-
call admin admin GET /v1/models
answered 'so is a new one' 403 forbidden
call admin admin-2 DELETE "/v1/operators/admin/certificates/$(sha256_of admin-2)"
answered 'the last one stays' 409 own_certificate
cp "$work/admin-2.pem" "$work/admin.pem"
cp "$work/admin-2.key" "$work/admin.key"

# --- two people ------------------------------------------------------------------------------------------

must 'an operator is registered' gateway_operator op operator
same 'the device is allowed' 'allow trusted' "$(decision edge)"
echo '{"all": true, "reason": "a signing key leaked"}' >"$work/revoke"
call admin op POST /v1/credentials/revoke "$work/revoke"
answered 'a bulk revocation is a proposal' 202
approval=$(field .approval_id)
same 'which changes nothing' 'allow trusted' "$(decision edge)"
call admin op POST "/v1/approvals/$approval/approve"
answered 'the one who proposed it does not approve it' 403 own_proposal
call admin second POST "/v1/approvals/$approval/approve"
answered 'nor does one who might not have asked for it' 403 forbidden
call admin admin GET "/v1/approvals/$approval"
same 'it shows what was asked, and by whom' 'op POST /v1/credentials/revoke true pending' \
    "$(field '"\(.proposed_by) \(.method) \(.path) \(.body.all) \(.state)"')"
call admin admin POST "/v1/approvals/$approval/approve"
answered 'another operator approves it' 200
same 'and the credential is revoked' 1 "$(field .revoked)"
same 'the device is denied at once' 'deny credential_revoked' "$(decision edge)"
call admin admin POST "/v1/approvals/$approval/approve"
answered 'it is approved once' 409 already_decided
device_attests edge
answered 'the device may prove itself again' 201
same 'and is allowed again' 'allow trusted' "$(decision edge)"
call admin admin GET '/v1/audit?limit=1000'
same 'the audit names both' 'op admin' \
    "$(field '.items[] | select(.action == "approval.approve") | "\(.after.proposed_by) \(.after.decided_by)"')"

# --- lock-out --------------------------------------------------------------------------------------------

must 'a viewer is registered' gateway_operator eve viewer
refused=''
for _ in 1 2 3 4 5 6 7 8 9 10; do
    call admin eve DELETE /v1/models/acme-edge9
    refused="$refused$status "
done
same 'ten refusals' '403 403 403 403 403 403 403 403 403 403 ' "$refused"
call admin eve GET /v1/models
answered 'lock out from what is allowed, too' 429 rate_limited
claim 'for a while that is told' grep -qiE '^retry-after: [1-6]?[0-9]' "$headers"
call admin admin GET '/v1/audit?limit=1000'
answered 'nobody else is locked out' 200
same 'the audit has each refusal, and the lock-out once' '10 1' \
    "$(field '[.items[] | select(.actor == "operator:eve") | .action] | "\(map(select(. == "access.refuse")) | length) \(map(select(. == "access.lock_out")) | length)"')"

# --- on the host -----------------------------------------------------------------------------------------

operator() {
    verb=$1
    shift
    "$gatehouse" operator "$verb" --config "$gateway/gatehouse.ini" "$@" >"$work/out" 2>"$work/err"
}
fails_with() { # WORDS COMMAND...
    words=$1
    shift
    ! "$@" && grep -q "$words" "$work/err"
}

must 'a certificate for an emergency' gateway_certifies rescue operators
claim 'while the gateway runs, nobody is registered beside it' \
    fails_with 'the gateway is running' operator add --name rescue --role admin --certificate "$work/rescue.pem"
claim 'operators can be listed meanwhile' operator list
same 'each certificate in a line' "eve viewer enabled $(sha256_of eve)" "$(grep '^eve' "$work/out" | cut -f 1-4 | tr '\t' ' ')"
gateway_stop TERM
claim 'a certificate that admin.anchors do not vouch for is refused' \
    fails_with 'admin.anchors' operator add --name rescue --role admin --certificate "$work/stranger.pem"
claim 'so is a role that there is not' fails_with 'role' operator add --name rescue --role root --certificate "$work/rescue.pem"
claim 'so is a certificate of another operator' \
    fails_with "another operator's" operator add --name rescue --role admin --certificate "$work/op.pem"
claim 'an operator is registered' operator add --name rescue --role admin --certificate "$work/rescue.pem"
claim 'not twice' fails_with 'replace' operator add --name rescue --role admin --certificate "$work/rescue.pem"
must 'a new certificate for one who lost theirs' gateway_certifies admin-3 operators
claim 'a registration is replaced' operator add --name admin --role admin --certificate "$work/admin-3.pem" --replace
must 'the gateway starts again' gateway_start
call admin rescue GET /v1/models
answered 'who was registered on the host comes in' 200
call admin admin-3 GET /v1/models
answered 'so does who got a new certificate' 200
call admin admin GET /v1/models
answered 'the one before is gone' 403 forbidden
call admin rescue GET '/v1/audit?limit=1000'
same 'the audit says who it was' "host:$(id -un) operator.create host:$(id -un) operator.replace" \
    "$(field '[.items[] | select(.actor | startswith("host:")) | "\(.actor) \(.action)"] | join(" ")')"
claim 'the audit is whole' "$gatehouse" audit verify --config "$gateway/gatehouse.ini"

finish
