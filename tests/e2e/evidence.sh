#!/bin/sh
# test: what a malicious device, or someone on the way, could send as evidence
cd "$(dirname "$0")" && . ./lib.sh

a_gateway edge other
enrolled edge other
id=$(cat "$work/edge/id")
cp "$work/edge/evidence.json" "$work/good.json"

# challenged: the answer of a fresh challenge in $work/challenge.
challenged() {
    call device edge POST /v1/challenges "$work/empty"
    cp "$answer" "$work/challenge"
}

# attempt [JQ]: true evidence over a fresh nonce, changed by the filter, is sent.
attempt() {
    challenged
    device_evidence edge <"$work/challenge" | jq "${1:-.}" >"$work/body"
    call device edge POST /v1/evidence "$work/body"
}

# sent TEXT: this very body.
sent() {
    printf '%s' "$1" >"$work/body"
    call device edge POST /v1/evidence "$work/body"
}

# file_attempt FIELD FILE: one binary field has the file's bytes.
file_attempt() {
    base64 -w 0 "$2" >"$work/field"
    challenged
    device_evidence edge <"$work/challenge" | jq --rawfile v "$work/field" "$1 = \$v" >"$work/body"
    call device edge POST /v1/evidence "$work/body"
}

attempt
answered 'good evidence is trusted' 201
same 'and earns a credential' trusted "$(field .verdict)"

# --- nonces ------------------------------------------------------------------------------------------

call device edge POST /v1/evidence "$work/good.json"
answered 'evidence sent again is refused' 409 nonce_used
challenged
jq --arg n "$(field .nonce)" '.nonce = $n' "$work/good.json" >"$work/body"
call device edge POST /v1/evidence "$work/body"
answered 'a replayed quote under a new nonce is refused' 422 nonce_mismatch
call device other POST /v1/challenges "$work/empty"
device_evidence edge <"$answer" >"$work/body"
call device edge POST /v1/evidence "$work/body"
answered "another device's nonce is refused" 409 nonce_unknown
challenged
device_evidence other <"$work/challenge" >"$work/body"
call device edge POST /v1/evidence "$work/body"
answered "another device's TPM cannot quote for this one" 422 quote_signature_invalid
jq '.pcr_selection.sha256 as $s | {nonce: ("A" * 43 + "="), pcr_selection: {sha256: $s}}' "$work/challenge" |
    device_evidence edge >"$work/body"
call device edge POST /v1/evidence "$work/body"
answered 'a nonce that nobody gave is refused' 409 nonce_unknown
for n in 1 2 3 4 5; do
    challenged
    cp "$work/challenge" "$work/challenge.$n"
done
same 'nonces are 32 bytes, and never the same' '5 32' \
    "$(jq -r .nonce "$work"/challenge.[1-5] | sort -u | wc -l) $(jq -r .nonce "$work/challenge.1" | base64 -d | wc -c)"

# --- quotes ------------------------------------------------------------------------------------------

attempt '.tpm2.signature |= (.[:-16] + "AAAAAAAA" + .[-8:])'
answered 'a changed signature is refused' 422 quote_signature_invalid
challenged
device_evidence edge <"$work/challenge" >"$work/body"
head -c 60 "$work/edge/quote.msg" >"$work/half"
file_attempt .tpm2.quote "$work/half"
answered 'half a quote is malformed' 400 evidence_malformed
{ cat "$work/edge/quote.msg"; echo; } >"$work/longer"
file_attempt .tpm2.quote "$work/longer"
answered 'a quote with a byte more is malformed' 400 evidence_malformed
file_attempt .tpm2.signature "$work/edge/quote.msg"
claim 'something else in place of the signature is refused' test "$status" -ge 400
head -c 3000 /dev/urandom >"$work/noise"
file_attempt .tpm2.quote "$work/noise"
answered 'noise in place of the quote is malformed' 400 evidence_malformed
challenged
jq '.pcr_selection.sha256 = [0, 1, 2]' "$work/challenge" | device_evidence edge >"$work/body"
call device edge POST /v1/evidence "$work/body"
answered 'fewer PCRs than asked for are refused' 422 pcr_selection_mismatch
challenged
jq '.pcr_selection.sha256 += [16]' "$work/challenge" | device_evidence edge >"$work/body"
call device edge POST /v1/evidence "$work/body"
answered 'other PCRs than asked for are refused' 422 pcr_selection_mismatch
tpm edge certify -Q -C 0x81008001 -c 0x81008001 -g sha256 -o "$work/certify" -s "$work/certify.sig" >/dev/null 2>&1
attempt ".tpm2 = {quote: \"$(b64 "$work/certify")\", signature: \"$(b64 "$work/certify.sig")\"}"
claim 'what the AK signed, but is not a quote, is refused' test "$status $(field .code)" = '422 not_a_quote'

# --- logs --------------------------------------------------------------------------------------------

head -c 700 "$work/edge/log" >"$work/half"
file_attempt .tcg_event_log "$work/half"
answered 'half a log is malformed' 400 evidence_malformed
file_attempt .tcg_event_log "$work/noise"
answered 'noise in place of the log is malformed' 400 evidence_malformed
KERNEL=other sh "$demo/bootlog.sh" boot "$work/other.log" >/dev/null
file_attempt .tcg_event_log "$work/other.log"
answered 'the log of another boot does not replay' 422 log_does_not_replay
cp "$work/edge/log" "$work/longer"
sh "$demo/bootlog.sh" add "$work/longer" 7 EV_SEPARATOR '....' >/dev/null
file_attempt .tcg_event_log "$work/longer"
answered 'a log with an event more does not replay' 422 log_does_not_replay
# The old format: one event, SHA-1 only.
printf '0000000004000000%040d0400000000000000' 0 | xxd -r -p >"$work/old"
file_attempt .tcg_event_log "$work/old"
answered 'a SHA-1 log is not taken' 422 log_format_unsupported
attempt 'del(.tcg_event_log)'
answered 'without a log nothing explains the PCRs' 422 pcr_values_missing
device_pcrs edge 0,1,2,3,4,5,6,7,8,9,14 | jq 'map_values(.[0])' >"$work/pcrs.json"
attempt "del(.tcg_event_log) | .tpm2.pcrs.sha256 = $(cat "$work/pcrs.json")"
answered 'PCR values that hash to the quote do without a log' 201
attempt "del(.tcg_event_log) | .tpm2.pcrs.sha256 = $(jq '."4" = ."5"' "$work/pcrs.json")"
answered 'PCR values that do not hash to the quote are refused' 422 pcr_digest_mismatch
attempt '.tpm2.pcrs.sha256."16" = "0" * 64'
answered 'values of PCRs that were not quoted are refused' 422 pcr_digest_mismatch

# --- bodies ------------------------------------------------------------------------------------------

sent '{"nonce"'
answered 'half a JSON document' 400 malformed_json
sent '[]'
answered 'an array' 400 malformed_json
sent ''
claim 'no body at all' test "$status" -ge 400 -a "$status" -lt 500
sent '{"nonce":"AA==","nonce":"AA==","tpm2":{"quote":"AA==","signature":"AA=="}}'
answered 'a field that stands twice' 400 malformed_json
sent "$(printf '%0200d' 0 | tr 0 '[')"
answered 'nesting without end' 400 malformed_json
attempt '.surprise = 1'
answered 'an unknown field' 400 unknown_field
attempt '.tpm2.surprise = 1'
answered 'an unknown field below' 400 unknown_field
attempt 'del(.nonce)'
answered 'no nonce' 400 missing_field
attempt 'del(.tpm2.quote)'
answered 'no quote' 400 missing_field
attempt 'del(.csr)'
answered 'no certificate request' 400 missing_field
attempt '.tpm2.quote = "AAA"'
answered 'base64 without its padding' 400 malformed_base64
attempt '.tpm2.quote = "AA=\n="'
answered 'base64 with white space' 400 malformed_base64
attempt '.tpm2.quote = 7'
answered 'a number for a string' 400 invalid_field
attempt '.csr |= (.[:-16] + "AAAAAAAA" + .[-8:])'
answered 'a certificate request with a wrong signature' 422 csr_invalid
file_attempt .csr "$work/noise"
answered 'noise in place of the certificate request' 422 csr_invalid
head -c 3500000 /dev/zero | base64 -w 0 | sed 's/^/{"tcg_event_log":"/; s/$/"}/' >"$work/body"
call device edge POST /v1/evidence "$work/body"
answered 'a body over the limit' 413 body_too_large
answered_413=$(sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p' "$headers")
same 'which is answered before it is read' 413 "$answered_413"
status=$(curl -sS --max-time 30 -o "$answer" -w '%{http_code}' --cacert "$work/server-ca.pem" --cert "$work/edge.pem" \
    --key "$work/edge.key" -H 'Transfer-Encoding: chunked' -H 'Content-Type: application/json' --data-binary "@$work/body" \
    "https://127.0.0.1:$(port_of device)/v1/evidence" 2>/dev/null)
answered 'the same in chunks, without a length' 413 body_too_large
call device edge GET /v1/evidence
answered 'another method' 405 method_not_allowed
call device edge POST /v1/evidences "$work/empty"
answered 'another path' 404 not_found

# --- what all of that has done -----------------------------------------------------------------------

call device edge GET /v1/self
same 'refused evidence leaves the standing as it was' 'trusted' "$(field '.verdict // .standing.verdict')"
same 'and the decision' 'allow trusted' "$(decision edge)"
call admin admin GET "/v1/devices/$id/appraisals?limit=1000"
claim 'what was refused is on record' jq -e '[.items[] | select(.failure != null and .failure != "")] | length > 5' "$answer"
call public - GET /healthz
answered 'the gateway is well' 200

# --- time --------------------------------------------------------------------------------------------

gateway_stop
export GATEHOUSE_CHALLENGES_EXPIRY=5
must 'it starts with short-lived nonces' gateway_start
challenged
device_evidence edge <"$work/challenge" >"$work/body"
sleep 6
call device edge POST /v1/evidence "$work/body"
answered 'an expired nonce is refused' 409 nonce_expired
finish
