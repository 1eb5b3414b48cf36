#!/bin/sh
# test: tiers and segments reach certificates and decisions, and an exception lives from its request to its end
cd "$(dirname "$0")" && . ./lib.sh

a_gateway edge other
enrolled edge other
main=$baseline
other=$(cat "$work/other/id")

body() { jq -n "$@" >"$work/body"; }
model() { # JQ: of the fields to change
    body "$1"
    call admin admin PUT /v1/models/acme-edge9 "$work/body"
    [ "$status" = 200 ]
}
subject() { # of the credential in the last answer, as nginx would have it
    field .credential.certificate | openssl x509 -noout -subject -nameopt RFC2253 | sed 's/^subject=//; s/^CN=[0-9a-f]*,//'
}
standing() { # DEVICE: what a proxy is told
    call proxy proxy GET "/v1/decisions/$(cat "$work/$1/id")"
    field '"\(.decision) \(.reason) \(.tier) \(.segment)"'
}

# --- a measured device -------------------------------------------------------------------------------

must 'the model names segments' model '{segments: {measured: "corp", verified_boot: "limited", identified: "legacy"}}'
same 'decisions have the segment at once' 'allow trusted measured corp' "$(standing edge)"
device_attests edge
answered 'a device attests' 201
same 'its certificate says tier and segment' 'OU=measured,O=corp' "$(subject)"
same 'the answer too' 'measured corp' "$(field '"\(.tier) \(.segment)"')"
model '{segments: {measured: "a,OU=measured"}}'
answered 'a label that would read as something else is refused' 400 invalid_field

# --- an exception ------------------------------------------------------------------------------------

KERNEL=vmlinuz-6.1.0-29-amd64
export KERNEL
device_power_off other
must 'the other device boots a newer kernel' device_boot other
device_attests other
answered 'which no baseline covers' 403 untrusted
appraisal=$(field .appraisal_id)
call admin admin GET "/v1/appraisals/$appraisal"
findings=$(field '.findings | to_entries[] | select(.value.severity == "deny") | .key')
until=$(date -u -d '+1 hour' +%Y-%m-%dT%H:%M:%SZ)
asked=''
num=0
for finding in $findings; do
    body --arg d "$other" --arg a "$appraisal" --argjson f "$finding" --arg u "$until" \
        '{device_id: $d, appraisal_id: $a, finding: $f, until: $u, reason: "the baseline follows on Friday"}'
    call admin admin POST /v1/exceptions "$work/body"
    answered "an exception is asked for finding $finding" 201
    asked="$asked $(field .id)"
    num=$((num + 1))
done
device_attests other
answered 'which alone lets nothing pass' 403 untrusted
for id in $asked; do
    call admin admin POST "/v1/exceptions/$id/approve" "$work/empty"
    answered 'nobody approves their own' 403 own_proposal
    call admin second POST "/v1/exceptions/$id/approve" "$work/empty"
    answered 'another operator does' 200
done
device_attests other
answered 'the device passes' 201
claim 'its credential ends with the exception, or before' jq -e ".credential.not_after <= \"$until\"" "$answer"
same 'and names what gave it' "$(echo "$asked" | tr ' ' '\n' | sed '/^$/d' | sort)" "$(field '.exceptions[]' | sort)"
same 'so does each decision' "allow trusted measured corp $num" \
    "$(standing other) $(field '.exceptions | length')"
same 'one of a device that needs none names none' 'allow trusted measured corp 0' "$(standing edge) $(field '.exceptions | length')"
gateway_stop KILL
must 'the gateway starts again' gateway_start
same 'a restart changes nothing' "allow trusted measured corp $num" \
    "$(standing other) $(field '.exceptions | length')"
call admin second DELETE "/v1/exceptions/${asked##* }"
answered 'it is ended early' 204
same 'and the device cut off at once' 'deny credential_revoked' "$(decision other)"
device_attests other
answered 'nor may it come back' 403 untrusted

# --- a device of which little is stated --------------------------------------------------------------

device_pcrs edge 0 | jq '{schema: "gatehouse/baseline/1", model: "acme-edge9", label: "firmware only", bank: "sha256", pcrs: .}' \
    >"$work/body"
call admin admin POST /v1/models/acme-edge9/baselines "$work/body"
narrow=$(field .id)
for step in admin/submit second/approve second/activate; do
    call admin "${step%/*}" POST "/v1/baselines/$narrow/${step#*/}" "$work/empty"
done
answered 'a baseline that states the firmware alone is put in force' 200
device_attests edge
same 'beside it the better one counts' 'measured corp' "$(field '"\(.tier) \(.segment)"')"
call admin second POST "/v1/baselines/$main/retire" "$work/empty"
device_attests edge
answered 'on its own it earns no credential' 403 tier_too_low
same 'and says what was reached and what is wanted' 'identified measured' "$(field '"\(.tier) \(.credential_tier)"')"
same 'what the device had is revoked' 'deny tier_too_low identified null' "$(standing edge)"
must 'the model takes what is identified' model '{credential_tier: "identified"}'
device_attests edge
answered 'then it earns one' 201
same 'of that tier, in that segment' 'OU=identified,O=legacy' "$(subject)"
same 'and the decision says so' 'allow trusted identified legacy' "$(standing edge)"
must 'the model asks for more again' model '{credential_tier: "verified_boot"}'
same 'which counts at once' 'deny tier_too_low identified null' "$(standing edge)"

finish
