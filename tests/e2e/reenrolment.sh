#!/bin/sh
# test: approval, lost answers and kill -9 while a TPM enrols: one device, nothing lost
cd "$(dirname "$0")" && . ./lib.sh

a_gateway edge

begin() { # DEVICE: an enrolment; the body of its activation is left in $work/DEVICE/secret.json
    device_enrolment "$1" acme-edge9 >"$work/body"
    call enrol - POST /v1/enrollments "$work/body"
    [ "$status" = 201 ] || { cat "$answer"; return 1; }
    enrollment=$(field .enrollment_id)
    cp "$answer" "$work/$1/begun.json"
    device_activates "$1" <"$work/$1/begun.json" >"$work/$1/secret.json"
}

activate() { call enrol - POST "/v1/enrollments/$enrollment/activate" "$work/$1/secret.json"; }

policy() {
    jq -n --arg enrolment "$1" '{enrolment: $enrolment}' >"$work/body"
    call admin admin PUT /v1/models/acme-edge9 "$work/body"
    [ "$status" = 200 ]
}

audited() { # ACTION: how often
    call admin admin GET '/v1/audit?limit=1000'
    jq --arg action "$1" '[.items[] | select(.action == $action)] | length' "$answer"
}

# --- approval ----------------------------------------------------------------------------------------

must 'enrolment takes an approval' policy approval
must 'a device begins' begin edge
activate edge
answered 'it has to wait' 202
same 'for an operator' pending_approval "$(field .state)"
claim 'and is told how long until it asks again' grep -qi '^retry-after: [0-9]' "$headers"
id=$(field .device_id)
activate edge
answered 'it may ask as often as it likes' 202
gateway_stop KILL
must 'the gateway is killed, and starts again' gateway_start
activate edge
answered 'it still waits' 202
printf '%s' "$id" >"$work/edge/id"
same 'and passes nowhere' 'deny pending_approval' "$(decision edge)"
call admin admin POST "/v1/devices/$id/approve" "$work/empty"
answered 'an operator approves it' 200
gateway_stop KILL
must 'the gateway is killed again' gateway_start
activate edge
answered 'it gets its identity' 200
device_keeps_identity edge
device_attests edge
answered 'and attests' 201
call admin admin POST "/v1/devices/$id/approve" "$work/empty"
answered 'there is nothing to approve any more' 409 wrong_state

# --- closed ------------------------------------------------------------------------------------------

must 'enrolment closes' policy closed
must 'the known device begins' begin edge
activate edge
answered 'a known device may enrol again' 200
device_keeps_identity edge
must 'a stranger is made' device_new stranger acme
must 'it boots' device_boot stranger
must 'it makes keys' device_keys stranger
device_enrolment stranger acme-edge9 >"$work/body"
call enrol - POST /v1/enrollments "$work/body"
answered 'a stranger may not, though its certificate is good' 403 enrolment_closed
openssl x509 -inform DER -in "$work/stranger/ek.der" -noout -pubkey | openssl pkey -pubin -outform DER >"$work/spki"
jq -n --arg ek "$(sha256sum <"$work/spki" | cut -d ' ' -f 1)" '{model: "acme-edge9", ek_sha256: $ek, note: "bay 7"}' >"$work/body"
call admin admin POST /v1/devices "$work/body"
answered 'once it is registered by the hash of its EK' 201
must 'and begins' begin stranger
activate stranger
answered 'it enrols' 200
same 'as what was registered' "$(cut -c 1-32 <<END
$(sha256sum <"$work/spki")
END
)" "$(field .device_id)"
must 'enrolment opens' policy open

# --- one AK, one device ------------------------------------------------------------------------------

# use_ak NAME: $work/NAME.ctx and NAME.pub become the device's AK.
use_ak() {
    tpm edge evictcontrol -Q -C o -c 0x81008001 &&
        tpm edge evictcontrol -Q -C o -c "$work/$1.ctx" 0x81008001 && cp "$work/$1.pub" "$work/edge/ak.pub"
}
for name in first second; do
    must "an AK is made" device_ak edge
    cp "$work/edge/ak.ctx" "$work/$name.ctx"
    cp "$work/edge/ak.pub" "$work/$name.pub"
    claim "the device enrols with its $name AK" device_enrols edge acme-edge9
done
must 'the first one is put back' use_ak first
must 'and asked for' begin edge
activate edge
answered 'an AK that was replaced is replaced for ever' 409 ak_revoked
call device edge GET /v1/self
answered 'which changes nothing' 200
must 'the second one is put back' use_ak second
claim 'with it the device may enrol as often as it likes' device_enrols edge acme-edge9

# --- a key of the TPM --------------------------------------------------------------------------------

# shellcheck source=deploy/device/certify.sh
. "$root/deploy/device/certify.sh"
tls_key() {
    tpm edge createprimary -Q -C o -G ecc -c "$work/srk.ctx" &&
        tpm edge create -Q -C "$work/srk.ctx" -G ecc256 -u "$work/tls.pub" -r "$work/tls.priv" \
            -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign' &&
        tpm edge load -Q -C "$work/srk.ctx" -u "$work/tls.pub" -r "$work/tls.priv" -c "$work/tls.ctx" &&
        tpm edge evictcontrol -Q -C o -c "$work/tls.ctx" 0x81008010
}
must 'a key is made in the TPM' tls_key
must 'the device begins' begin edge
TPM2TOOLS_TCTI=swtpm:path=$work/edge/s
export TPM2TOOLS_TCTI
must 'its AK certifies the key' tpm_certify 0x81008001 0x81008010 \
    "$(jq -r .nonce "$work/edge/begun.json" | base64 -d | xxd -p -c 64)" "$work/attest" "$work/signature"
jq --arg info "$(b64 "$work/attest")" --arg signature "$(b64 "$work/signature")" --arg public "$(b64 "$work/tls.pub")" \
    '.key_certification = {certify_info: $info, signature: $signature, public: $public}' "$work/edge/secret.json" >"$work/body"
call enrol - POST "/v1/enrollments/$enrollment/activate" "$work/body"
answered 'a key of the TPM that is not the one asked for proves nothing' 422 key_certification_invalid
activate edge
answered 'and uses nothing up' 200
same 'without proof there is none' unproven "$(field .key_protection)"
device_keeps_identity edge

# --- killed while it activates -----------------------------------------------------------------------

# The gateway is killed a little later in each round: before, while and after it writes. Most rounds enrol the
# same TPM again, some a new one.
rounds=24 lost=0 answered=0 wrong='' fresh=0
enrolments() { echo $(($(audited device.enrol) + $(audited device.enrol_again))); }
before=$(enrolments)
for round in $(seq $rounds); do
    who=edge
    case $round in 6 | 12 | 14 | 17)
        who=new$round fresh=$((fresh + 1))
        must "$who is made" device_new "$who" acme
        must "$who boots" device_boot "$who"
        must "$who makes keys" device_keys "$who"
        ;;
    esac
    must "round $round begins" begin "$who"
    url=https://127.0.0.1:$(port_of enrol)/v1/enrollments/$enrollment/activate
    : >"$work/first"
    curl -sS --max-time 10 -o "$work/first" --cacert "$work/server-ca.pem" -H 'Content-Type: application/json' \
        --data-binary "@$work/$who/secret.json" "$url" 2>"$work/curl.err" &
    request=$!
    sleep "0.0$(printf %02d $((round * 2)))"
    gateway_stop KILL
    wait $request && answered=$((answered + 1))
    must "round $round: it starts again" gateway_start
    written=$(($(enrolments) - before))
    activate "$who"
    [ "$status" = 200 ] || wrong="$wrong $round:$status"
    device_keeps_identity "$who"
    if [ -s "$work/first" ]; then
        [ "$(jq -r .identity_certificate "$work/first")" = "$(cat "$work/$who.pem")" ] || wrong="$wrong $round:another"
    elif [ $written = "$round" ]; then
        lost=$((lost + 1)) # it was written, and the answer did not come
    fi
    call device "$who" GET /v1/self
    [ "$status" = 200 ] || wrong="$wrong $round:self:$status"
    [ "$who" = edge ] || device_power_off "$who"
done
same "$rounds rounds: the repeated activation gives a working identity, the same if there was one ($answered answered, $lost lost)" \
    '' "$wrong"
same 'each enrolment is in the audit once' $rounds $(($(enrolments) - before))
call admin admin GET /v1/devices
same 'and each TPM is one device' $((2 + fresh)) "$(field '.items | length')"
device_attests edge
answered 'the one that enrolled most often attests' 201
call admin admin GET '/v1/audit?limit=1000'
claim 'the audit log has no gap' jq -e '[.items[].seq] | . == [range(1; length + 1)]' "$answer"
gateway_stop TERM
claim 'and its chain holds' "$gatehouse" audit verify --config "$gateway/gatehouse.ini"
finish
