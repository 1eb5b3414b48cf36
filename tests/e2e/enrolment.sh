#!/bin/sh
# test: enrolment: every kind of key, and whoever should not get in
cd "$(dirname "$0")" && . ./lib.sh

a_gateway edge
vendor=acme # of the EKs that swtpm_setup does not make

# attempt DEVICE [JQ]: a true enrolment, changed by the filter, is sent.
attempt() {
    device_enrolment "$1" acme-edge9 | jq "${2:-.}" >"$work/body"
    call enrol - POST /v1/enrollments "$work/body"
}

# file_attempt FIELD FILE: one binary field has the file's bytes.
file_attempt() {
    device_enrolment edge acme-edge9 | jq --arg v "$(b64 "$2")" ".$1 = \$v" >"$work/body"
    call enrol - POST /v1/enrollments "$work/body"
}

activate() { # ENROLLMENT SECRET-FILE
    jq -n --arg secret "$(b64 "$2")" '{secret: $secret}' >"$work/body"
    call enrol - POST "/v1/enrollments/$1/activate" "$work/body"
}

# --- EKs ---------------------------------------------------------------------------------------------

attempt edge '.model = "nobody"'
answered 'an unknown model' 422 unknown_model
attempt edge 'del(.ek_certificate)'
answered 'no EK certificate' 422 ek_certificate_required
must 'another vendor' vendor_new shady
must 'its device' device_new fake shady
must 'boots' device_boot fake
must 'makes keys' device_keys fake
attempt fake
answered 'an EK certificate of a vendor that is not trusted' 422 ek_certificate_untrusted
attempt edge ".ek_certificate = \"$(b64 "$work/fake/ek.der")\""
answered "another TPM's EK certificate" 422 ek_certificate_untrusted
attempt fake ".ek_certificate = \"$(b64 "$work/edge/ek.der")\""
answered "another TPM with this one's EK certificate" 422 ek_certificate_untrusted
head -c 300 "$work/edge/ek.der" >"$work/half"
file_attempt ek_certificate "$work/half"
answered 'half an EK certificate' 422 ek_certificate_untrusted
head -c 500 /dev/urandom >"$work/noise"
file_attempt ek_certificate "$work/noise"
answered 'noise in place of the EK certificate' 422 ek_certificate_untrusted
file_attempt ek_public "$work/edge/ak.pub"
answered 'a signing key in place of the EK' 422 ek_unacceptable
{ cat "$work/edge/ek.pub"; printf 'x'; } >"$work/longer"
file_attempt ek_public "$work/longer"
answered 'a TPM2B_PUBLIC with a byte more' 422 ek_unacceptable
file_attempt ek_public "$work/noise"
answered 'noise in place of the EK' 422 ek_unacceptable

# --- AKs ---------------------------------------------------------------------------------------------

# made NAME ATTRIBUTES ALGORITHM: a key of that kind under the storage root, as $work/NAME.pub.
must 'a storage key' tpm edge createprimary -Q -C o -G ecc -c "$work/srk.ctx"
made() {
    tpm edge create -Q -C "$work/srk.ctx" -G "$3" -g sha256 -a "$2" -u "$work/$1.raw" -r "$work/$1.priv" >/dev/null &&
        tpm edge load -Q -C "$work/srk.ctx" -u "$work/$1.raw" -r "$work/$1.priv" -c "$work/$1.ctx" >/dev/null &&
        tpm edge readpublic -Q -c "$work/$1.ctx" -f tss -o "$work/$1.pub" >/dev/null
}
own='fixedtpm|fixedparent|sensitivedataorigin|userwithauth'
while read -r name attributes algorithm text; do
    if made "$name" "$attributes" "$algorithm"; then
        file_attempt ak_public "$work/$name.pub"
        answered "$text" 422 ak_unacceptable
    else
        not_ok "$text" "the TPM would not make it: $(tail -n 2 "$work/edge/tools.log")"
    fi
done <<END
loose $own|sign ecc256:ecdsa-sha256 an AK that is not restricted signs anything, so it is refused
movable sensitivedataorigin|userwithauth|restricted|sign ecc256:ecdsa-sha256:null an AK that can leave its TPM
open $own|sign|decrypt rsa2048 an AK that also decrypts
storage $own|restricted|decrypt ecc256:aes128cfb a storage key in place of the AK
END
openssl ecparam -name prime256v1 -genkey -noout -out "$work/soft.key"
made imported "$own|sign" ecc256:ecdsa-sha256 || :
if tpm edge import -Q -C "$work/srk.ctx" -G ecc -i "$work/soft.key" -u "$work/soft.raw" -r "$work/soft.priv" \
    -a 'userwithauth|sign' >/dev/null 2>&1 &&
    tpm edge load -Q -C "$work/srk.ctx" -u "$work/soft.raw" -r "$work/soft.priv" -c "$work/soft.ctx" >/dev/null &&
    tpm edge readpublic -Q -c "$work/soft.ctx" -f tss -o "$work/soft.pub" >/dev/null; then
    file_attempt ak_public "$work/soft.pub"
    answered 'an imported key is not an AK' 422 ak_unacceptable
else
    skip 'an imported key is not an AK' 'this TPM imports none'
fi
file_attempt ak_public "$work/edge/ek.pub"
answered 'the EK in place of the AK' 422 ak_unacceptable
file_attempt ak_public "$work/noise"
answered 'noise in place of the AK' 422 ak_unacceptable

# --- the rest of the body ----------------------------------------------------------------------------

file_attempt csr "$work/noise"
answered 'noise in place of the certificate request' 422 csr_invalid
attempt edge '.surprise = true'
answered 'an unknown field' 400 unknown_field
attempt edge 'del(.ak_public)'
answered 'no AK' 400 missing_field
attempt edge '.ak_public = "?"'
answered 'not base64' 400 malformed_base64
printf '{"model":' >"$work/body"
call enrol - POST /v1/enrollments "$work/body"
answered 'half a JSON document' 400 malformed_json
head -c 400000 /dev/zero | tr '\0' ' ' >"$work/body"
call enrol - POST /v1/enrollments "$work/body"
answered 'a body over the limit' 413 body_too_large

# --- activation --------------------------------------------------------------------------------------

head -c 32 /dev/urandom >"$work/guess"
attempt edge
enrollment=$(field .enrollment_id)
activate "$enrollment" "$work/guess"
answered 'a guessed secret' 403 activation_failed
activate "$enrollment" "$work/guess"
claim 'uses the enrolment up' test "$status" = 404
attempt edge
enrollment=$(field .enrollment_id)
field .credential_blob | base64 -d >"$work/blob"
activate "$enrollment" "$work/blob"
claim 'the credential blob in place of the secret' test "$status" -ge 400 -a "$status" -lt 500
head -c 32 "$work/blob" >"$work/blob32"
activate "$enrollment" "$work/blob32"
claim 'its first bytes neither' test "$status" = 403 -o "$status" = 404
attempt edge ".ak_public = \"$(b64 "$work/fake/ak.pub")\""
answered "another TPM's AK can be asked for" 201
enrollment=$(field .enrollment_id)
cp "$answer" "$work/blobs"
unopened() { ! device_activates "$1" <"$work/blobs"; }
claim 'but the TPM with the EK does not open what comes back' unopened edge
claim 'nor does the TPM with the AK' unopened fake
activate 00000000000000000000000000000000 "$work/guess"
answered 'an enrolment that does not exist' 404 not_found
same 'looks like one that is used up' "$(jq -S 'del(.request_id)' "$answer")" \
    "$(activate "$enrollment" "$work/guess"; activate "$enrollment" "$work/guess"; jq -S 'del(.request_id)' "$answer")"

attempt edge
enrollment=$(field .enrollment_id)
device_activates edge <"$answer" >"$work/secret.json"
call enrol - POST "/v1/enrollments/$enrollment/activate" "$work/secret.json"
answered 'the TPM that holds both keys enrols' 200
device_keeps_identity edge
call enrol - POST "/v1/enrollments/$enrollment/activate" "$work/secret.json"
answered 'and may ask again' 200
same 'for the same identity' "$(cat "$work/edge.pem")" "$(field .identity_certificate)"
activate "$enrollment" "$work/guess"
answered 'but not without the secret' 403 activation_failed
id=$(cat "$work/edge/id") first=$enrollment
cp "$work/edge.pem" "$work/former.pem"
cp "$work/edge.key" "$work/former.key"
must 'the device is made anew' device_ak edge
must 'with another key' device_tls_key edge
claim 'it enrols again' device_enrols edge acme-edge9
same 'and is the same device' "$id" "$(cat "$work/edge/id")"
call device edge GET /v1/self
answered 'with its new identity' 200
call device former GET /v1/self
claim 'and not with the one before' test "$status" = 403 -o "$status" = 401
call enrol - POST "/v1/enrollments/$first/activate" "$work/secret.json"
answered 'its first enrolment brings nothing back' 409 enrollment_superseded

# --- every kind of key -------------------------------------------------------------------------------

for kinds in 'rsa2048 rsa:rsassa' 'ecc384 ecc:ecdsa' 'ecc256 rsa:rsapss' 'ecc256 ecc:ecdsa:sha384'; do
    name=$(echo "$kinds" | tr -c 'a-z0-9\n' -)
    must "a device for $kinds" device_new "$name" acme
    must "$name boots" device_boot "$name"
    # shellcheck disable=SC2086 # two words
    must "$name makes keys" device_keys "$name" $kinds
    if device_enrols "$name" acme-edge9 && device_attests "$name"; then
        answered "EK and AK of kinds $kinds enrol and attest" 201
    else
        not_ok "EK and AK of kinds $kinds enrol and attest" "$called: $status $(cat "$answer")"
    fi
    device_power_off "$name"
done

# --- limits ------------------------------------------------------------------------------------------

gateway_stop
export GATEHOUSE_ENROLMENT_PENDING_PER_IP=3 GATEHOUSE_ENROLMENT_PER_IP_PER_MINUTE=6
must 'it starts with its limits' gateway_start
codes=''
for _ in 1 2 3 4 5 6 7 8; do
    attempt edge
    codes="$codes $status"
done
case $codes in
*429*) ok "enrolments from one address are limited:$codes" ;;
*) not_ok "enrolments from one address are limited" "$codes" ;;
esac
answered 'the last is told to come back later' 429
claim 'and when' grep -qi '^retry-after: [0-9]' "$headers"
finish
