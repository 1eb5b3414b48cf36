#!/bin/sh
# test: a baseline is signed by who builds the firmware, with openssl, and put in force for that
cd "$(dirname "$0")" && . ./lib.sh

a_gateway edge
must 'an author' gateway_operator writer author

openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out "$work/vendor.key" 2>/dev/null
openssl pkey -in "$work/vendor.key" -pubout -out "$work/vendor.pub"
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out "$work/other.key" 2>/dev/null

jq -n --rawfile key "$work/vendor.pub" '{name: "ACME firmware build", public_key: $key}' >"$work/body"
call admin admin POST /v1/models/acme-edge9/baseline-signers "$work/body"
answered 'the model lists whose signature its baselines need' 201
same 'and the algorithm is that of the key' ecdsa-p384-sha384 "$(field .algorithm)"

jq -n '{schema: "gatehouse/baseline/1", model: "acme-edge9", label: "signed", bank: "sha256",
        pcrs: {"7": ["0000000000000000000000000000000000000000000000000000000000000000"]}}' >"$work/document"
call admin writer POST /v1/models/acme-edge9/baselines "$work/document"
answered 'a draft' 201
id=$(field .id)
call admin writer POST "/v1/baselines/$id/submit" "$work/empty"
answered 'is submitted' 200
call admin second POST "/v1/baselines/$id/approve" "$work/empty"
answered 'what nobody signed is not approved' 403 baseline_unsigned

sign() { # KEY FILE
    openssl dgst -sha384 -sign "$1" "$2" | base64 -w0 | jq -R '{signature: .}' >"$work/body"
    call admin writer POST "/v1/baselines/$id/signatures" "$work/body"
}
claim 'the bytes to be signed are written' "$gatehouse" baseline canonical "$work/document"
"$gatehouse" baseline canonical "$work/document" >"$work/canonical"
jq -cSj . "$work/document" >"$work/expected"
claim 'and are the canonical form' cmp -s "$work/canonical" "$work/expected"
sign "$work/other.key" "$work/canonical"
answered 'a signature by another key is refused' 422 baseline_signature_invalid
sign "$work/vendor.key" "$work/document"
answered 'and one over another spelling' 422 baseline_signature_invalid
sign "$work/vendor.key" "$work/canonical"
answered 'one by the key over the canonical form is taken' 201
same 'whose digest is the one announced' "$(sha256sum "$work/canonical" | cut -d' ' -f1)" "$(field .canonical_sha256)"
call admin second POST "/v1/baselines/$id/approve" "$work/empty"
answered 'and the baseline is approved' 200

echo '{"schema":"gatehouse/baseline/1"}' >"$work/bad"
"$gatehouse" baseline canonical "$work/bad" >"$work/out" 2>"$work/err"
same 'what is no baseline has no form to be signed' 1 $?
same 'and nothing is written of it' 0 "$(wc -c <"$work/out")"
finish
