#!/bin/sh
# test: a key that the TPM made and certified is known as such, and a model can demand it
cd "$(dirname "$0")" && . ./lib.sh

a_gateway edge other
enrolled edge other
id=$(cat "$work/edge/id")
for device in edge other; do
    must "$device makes a key in its TPM" device_tpm_key $device
done

# challenged DEVICE: $nonce, in hex, of a fresh challenge, whose answer is in $work/challenge.
challenged() {
    call device "$1" POST /v1/challenges "$work/empty"
    cp "$answer" "$work/challenge"
    nonce=$(field .nonce | base64 -d | xxd -p -c 64)
}

# prove [JQ]: edge's evidence over $work/challenge, with the request for its key in the TPM and $work/certification,
# changed by the filter.
prove() {
    device_evidence edge <"$work/challenge" |
        jq --arg csr "$(b64 "$work/edge/tpm_key.csr")" --slurpfile certification "$work/certification" \
            ".csr = \$csr | .key_certification = \$certification[0] | ${1:-.}" >"$work/body"
    call device edge POST /v1/evidence "$work/body"
}

# attempt [JQ]: the same over a fresh nonce, rightly certified.
attempt() {
    challenged edge
    device_certification edge "$nonce" >"$work/certification"
    prove "$@"
}

protection() { # of the decision on edge
    call proxy proxy GET "/v1/decisions/$id"
    field '"\(.decision) \(.reason) \(.key_protection)"'
}

model() { # JQ: of the fields to change
    jq -n "$1" >"$work/body"
    call admin admin PUT /v1/models/acme-edge9 "$work/body"
    [ "$status" = 200 ]
}

# --- what is proven ----------------------------------------------------------------------------------

same 'a key in a file is unproven' 'allow trusted unproven' "$(protection)"
attempt
answered 'evidence that certifies the key is trusted' 201
cp "$answer" "$work/earned"
cp "$work/body" "$work/good"
same 'the credential says where its key is' tpm "$(field .credential.key_protection)"
field .credential.certificate >"$work/earned.pem"
tpm edge readpublic -Q -c 0x81008010 -f pem -o "$work/key.pem"
same 'it is for the key in the TPM' "$(openssl pkey -pubin -in "$work/key.pem" 2>/dev/null)" \
    "$(openssl x509 -in "$work/earned.pem" -noout -pubkey)"
same 'so does the decision' 'allow trusted tpm' "$(protection)"
call admin admin GET "/v1/credentials/$(jq -r .credential.serial "$work/earned")"
same 'and the record of the credential' tpm "$(field .key_protection)"
call admin admin GET "/v1/appraisals/$(jq -r .appraisal_id "$work/earned")"
same 'and of the appraisal' tpm "$(field .key_protection)"
call device edge GET /v1/self
same 'the device sees it, and that its identity is in a file' 'tpm unproven' "$(field '"\(.key_protection) \(.identity_key_protection)"')"
jq -n --slurpfile p "$work/pcrs.json" '{schema: "gatehouse/baseline/1", model: "acme-edge9", label: "own", bank: "sha256", pcrs: $p[0]}' \
    >"$work/baseline"
claim 'gatehouse appraise finds the same' "$gatehouse" appraise --baseline "$work/baseline" --evidence "$work/good" \
    --ak "$work/edge/ak.pub" --nonce "$nonce"
same 'and says so' tpm "$(jq -r .key_protection "$work/claim.out")"
gateway_stop TERM
must 'the gateway starts again' gateway_start
same 'a restart changes nothing' 'allow trusted tpm' "$(protection)"
attempt 'del(.key_certification)'
answered 'without a certification evidence is good' 201
same 'and the very same key unproven' unproven "$(field .credential.key_protection)"

# --- what is not -------------------------------------------------------------------------------------

challenged edge
device_certification edge "$nonce" >"$work/certification"
challenged edge
prove
answered 'a certification over the nonce before' 422 key_certification_invalid
challenged edge
device_certification other "$nonce" >"$work/certification"
prove
answered "another TPM's certification of another key" 422 key_certification_invalid
challenged edge
device_certification other "$nonce" >"$work/certification"
prove ".csr = \"$(b64 "$work/other/tpm_key.csr")\""
answered "another TPM's certification of the key of the request" 422 key_certification_invalid
attempt ".csr = \"$(b64 "$work/edge/csr.der")\""
answered "a certified key, and a request for one in a file" 422 key_certification_invalid
attempt ".key_certification.public = \"$(b64 "$work/other/tpm_key.pub")\""
answered "another key's public area" 422 key_certification_invalid
attempt '.key_certification.certify_info = .tpm2.quote | .key_certification.signature = .tpm2.signature'
answered 'a quote in place of the certification' 422 key_certification_invalid
attempt '.tpm2.quote = .key_certification.certify_info | .tpm2.signature = .key_certification.signature'
answered 'the certification in place of the quote' 422 not_a_quote
attempt '.key_certification.signature |= (.[:-16] + "AAAAAAAA" + .[-8:])'
answered 'a changed signature' 422 key_certification_invalid
attempt 'del(.key_certification.public)'
answered 'half a certification' 400 missing_field
attempt '.key_certification.surprise = 1'
answered 'an unknown field in it' 400 unknown_field
must 'a key that may leave the TPM' device_tpm_key edge 'sensitivedataorigin|userwithauth|sign'
attempt
answered 'a key that can be taken to another TPM' 422 key_certification_invalid
must 'a key that decrypts too' device_tpm_key edge 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign|decrypt'
attempt
answered 'a key that decrypts' 422 key_certification_invalid
must 'a good key again' device_tpm_key edge
same 'all that leaves the standing as it was' 'allow trusted' "$(decision edge)"
call admin admin GET "/v1/devices/$id/appraisals?limit=1000"
claim 'and is on record' jq -e '[.items[] | select(.failure == "key_certification_invalid")] | length == 9' "$answer"

# --- a model that demands it ---------------------------------------------------------------------------

must 'the model wants keys in the TPM' model '{key_protection: "tpm"}'
attempt 'del(.key_certification)'
answered 'evidence without a certification' 422 key_certification_required
attempt
answered 'a device that is known by a key in a file' 422 identity_key_unproven
claim 'is told to enrol again' grep -q 'enrol again' "$answer"
same 'what it had lasts' 'allow trusted' "$(decision edge)"

# A bare swtpm has three slots for objects, and the tpm2 provider also verifies in the TPM what it can: so the
# gateway gets a certificate with a key of a kind that it cannot, and that is trusted as it is.
gateway_stop TERM
must 'a key for the server' openssl genpkey -algorithm ED25519 -out "$gateway/server.key"
openssl req -x509 -new -key "$gateway/server.key" -subj /CN=localhost -addext 'subjectAltName = IP:127.0.0.1' -days 30 \
    -out "$gateway/server.pem"
cp "$gateway/server.pem" "$work/server-ca.pem"
must 'the gateway serves with it' gateway_start
cp "$work/edge/tpm_key.pem" "$work/edge/tls.key"
cp "$work/edge/tpm_key.csr" "$work/edge/csr.der"

# begin: an enrolment of edge; activate [JQ]: and its end, with the certification changed by the filter.
begin() {
    device_enrolment edge acme-edge9 >"$work/body" && call enrol - POST /v1/enrollments "$work/body"
    enrollment=$(field .enrollment_id)
    nonce=$(field .nonce | base64 -d | xxd -p -c 64)
    device_activates edge <"$answer" >"$work/activation"
    device_certification edge "$nonce" >"$work/certification"
}
activate() {
    jq --slurpfile certification "$work/certification" ".key_certification = \$certification[0] | ${1:-.}" "$work/activation" >"$work/body"
    call enrol - POST "/v1/enrollments/$enrollment/activate" "$work/body"
}

begin
activate 'del(.key_certification)'
answered 'enrolment without a certification' 422 key_certification_required
activate '.key_certification.signature |= (.[:-16] + "AAAAAAAA" + .[-8:])'
answered 'enrolment with one that does not hold' 422 key_certification_invalid
device_certification edge 00 >"$work/certification"
activate
answered 'or over another nonce' 422 key_certification_invalid
device_certification edge "$nonce" >"$work/certification"
activate
answered 'enrolment with the key in the TPM' 200
same 'is of the same device' "$id" "$(field .device_id)"
device_keeps_identity edge

export OPENSSL_CONF="$demo/../device/openssl.cnf" TPM2OPENSSL_TCTI="swtpm:path=$work/edge/s"
call device edge GET /v1/self
same 'it talks to the gateway with a key that cannot leave its TPM' 'tpm null' \
    "$(field '"\(.identity_key_protection) \(.key_protection)"')"
attempt 'del(.key_certification)'
answered 'evidence without a certification still is not taken' 422 key_certification_required
attempt
answered 'evidence with one earns a credential' 201
unset OPENSSL_CONF TPM2OPENSSL_TCTI
same 'the decision says where its key is' 'allow trusted tpm' "$(protection)"
call admin admin GET "/v1/devices/$id"
same 'the record of the device says it of both keys' 'tpm tpm' "$(field '"\(.identity_key_protection) \(.key_protection)"')"

device_configures other acme-edge9 'tries = 2' 'backoff = 0' 'credential_key = file' 'identity_key = file' 'ak_handle = 0x81008005'
device_client other enrol >"$work/said" 2>&1
claim 'the client with its key in a file is not enrolled' test ! -e "$work/other/state/identity"
claim 'and says why' grep -q key_certification_required "$work/said"
finish
