#!/bin/sh
# test: what operators do with devices, credentials and baselines, and who of them may
cd "$(dirname "$0")" && . ./lib.sh

a_gateway edge other
enrolled edge other
id=$(cat "$work/edge/id")
other=$(cat "$work/other/id")

body() { jq -n "$@" >"$work/body"; }
admin() { # METHOD PATH [BODY-FILE]
    call admin admin "$@"
}
serials() { # DEVICE-ID: of its valid credentials
    call proxy proxy GET "/v1/decisions/$1"
    field '.credential_serials | length'
}

# --- decisions ---------------------------------------------------------------------------------------

same 'a device with a credential may pass' 'allow trusted' "$(decision edge)"
call proxy proxy GET /v1/decisions/ffffffffffffffffffffffffffffffff
answered 'a device that nobody knows gets an answer, not a 404' 200
same 'which is a deny' 'deny unknown_device' "$(field '"\(.decision) \(.reason)"')"
claim 'and has the same form as that of a known one' sh -c 'test "$(jq -c keys "$1")" = "$2"' sh "$answer" \
    "$(call proxy proxy GET "/v1/decisions/$id"; jq -c keys "$answer")"

# --- one credential ----------------------------------------------------------------------------------

device_attests edge
serial=$(field .credential.serial)
field .credential.certificate >"$work/credential.pem"
same 'two attestations, two credentials' 2 "$(serials "$id")"
body '{reason: "lost"}'
admin POST "/v1/credentials/$serial/revoke" "$work/body"
answered 'a credential is revoked' 200
body --arg s "$serial" --arg c "$(openssl x509 -in "$work/credential.pem" -outform DER | sha256sum | cut -d ' ' -f 1)" \
    '{subjects: [{serial: $s}, {certificate_sha256: $c}]}'
call proxy proxy POST /v1/decisions "$work/body"
same 'asked by it, the decision is to deny' 'deny credential_revoked,deny credential_revoked' \
    "$(field '[.decisions[] | "\(.decision) \(.reason)"] | join(",")')"
same "the device's other credential is good" 'allow trusted 1' "$(decision edge) $(serials "$id")"
body '{reason: "lost"}'
admin POST "/v1/credentials/$serial/revoke" "$work/body"
answered 'it cannot be revoked twice' 409 already_revoked
admin POST /v1/credentials/00000000000000000000000000000000/revoke "$work/body"
answered 'nor can one that does not exist' 404 not_found
call admin admin GET "/v1/credentials?device_id=$other"
last=$(field '.items[0].serial')
admin POST "/v1/credentials/$last/revoke" "$work/body"
same 'the last credential revoked denies at once' 'deny' "$(decision other | cut -d ' ' -f 1)"

# --- quarantine, release, retire ---------------------------------------------------------------------

body '{reason: "suspicious"}'
admin POST "/v1/devices/$id/quarantine" "$work/body"
answered 'a device is quarantined' 200
same 'it is denied at once' 'deny quarantined' "$(decision edge)"
device_attests edge
answered 'it may attest, and gets no credential' 403 device_quarantined
admin POST "/v1/devices/$id/quarantine" "$work/body"
answered 'it cannot be quarantined twice' 409 wrong_state
admin POST "/v1/devices/$id/release" "$work/empty"
answered 'it is released' 200
same 'which alone gives nothing back' 'deny' "$(decision edge | cut -d ' ' -f 1)"
device_attests edge
answered 'it attests anew' 201
same 'and may pass' 'allow trusted' "$(decision edge)"

# --- a baseline ends ---------------------------------------------------------------------------------

KERNEL=vmlinuz-6.1.0-29-amd64
export KERNEL
device_power_off other
must 'the other device boots a newer kernel' device_boot other
device_attests other
answered 'which no baseline covers' 403 untrusted
claim 'the device learns codes only' jq -e '.findings == ["pcr_mismatch"] and (tostring | test("[0-9a-f]{64}") | not)' "$answer"
must 'a second baseline' gateway_baseline acme-edge9 other
device_attests other
answered 'with two baselines in force both kernels pass' 201
device_attests edge
answered 'the old one too' 201
admin POST "/v1/baselines/$baseline/retire" "$work/empty"
answered 'the new one is retired' 200
device_attests other
answered 'what it admitted is refused from then on' 403 untrusted

# --- the end of a device -----------------------------------------------------------------------------

body '{reason: "sold"}'
admin POST "/v1/devices/$id/retire" "$work/body"
answered 'a device is retired' 200
same 'it is denied' 'deny retired' "$(decision edge)"
device_attests edge
claim 'it cannot attest' test "$status" = 403
admin POST "/v1/devices/$id/release" "$work/empty"
answered 'and does not come back' 409 wrong_state

# --- roles -------------------------------------------------------------------------------------------

for role in viewer operator author approver; do
    must "an operator with the role $role" gateway_operator $role $role
done
body '{name: "made-by"}'
while read -r role method path wanted; do
    [ "$method" = GET ] && file='' || file=$work/body
    call admin "$role" "$method" "$path" ${file:+"$file"}
    case $wanted in
    no) answered "$role may not $method $path" 403 forbidden ;;
    *) claim "$role may $method $path" test "$status $(field .code)" != '403 forbidden' ;;
    esac
done <<END
viewer GET /v1/devices yes
viewer GET /v1/audit yes
viewer POST /v1/models no
viewer POST /v1/devices/$other/quarantine no
viewer POST /v1/credentials/$last/revoke no
viewer POST /v1/baselines/$baseline/activate no
viewer POST /v1/operators no
operator GET /v1/devices yes
operator POST /v1/models no
operator POST /v1/models/acme-edge9/baselines no
operator POST /v1/operators no
operator POST /v1/devices/$other/quarantine yes
author POST /v1/models/acme-edge9/baselines yes
author POST /v1/baselines/$baseline/submit yes
author POST /v1/baselines/$baseline/approve no
author POST /v1/baselines/$baseline/activate no
author POST /v1/devices/$other/quarantine no
author POST /v1/credentials/$last/revoke no
approver POST /v1/models/acme-edge9/baselines no
approver POST /v1/baselines/$baseline/submit no
approver POST /v1/baselines/$baseline/approve yes
approver POST /v1/baselines/$baseline/activate yes
approver POST /v1/operators no
END
same 'what exists and what does not are refused alike to who may not' \
    "$(body '{reason: "x"}'; call admin viewer POST "/v1/devices/$other/quarantine" "$work/body"; jq -S 'del(.request_id)' "$answer")" \
    "$(call admin viewer POST "/v1/devices/$(printf %032d 0)/quarantine" "$work/body"; jq -S 'del(.request_id)' "$answer")"

# --- the audit log -----------------------------------------------------------------------------------

admin GET '/v1/audit?limit=1000'
for action in model.create baseline.create baseline.submit baseline.approve baseline.activate baseline.retire device.enrol device.appraise \
    device.quarantine device.release device.retire credential.revoke operator.create; do
    claim "the audit log has $action" jq -e --arg a $action 'any(.items[]; .action == $a)' "$answer"
done
claim 'without a gap' jq -e '[.items[].seq] | . == [range(1; length + 1)]' "$answer"
claim 'each entry says who' jq -e 'all(.items[]; .actor | test("^(operator|device|system|enrol|proxy|address)"))' "$answer"
finish
