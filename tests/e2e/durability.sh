#!/bin/sh
# test: what was acknowledged is there after the gateway was killed, at any moment
cd "$(dirname "$0")" && . ./lib.sh

loadgen=$(dirname "$gatehouse")/bench/loadgen
a_gateway edge
enrolled edge
serial=$(field .credential.serial)

killed() { # kill -9, and a new start
    gateway_stop KILL
    must 'it starts again' gateway_start
}

killed
same 'a lease survives a kill' 'allow trusted' "$(decision edge)"
call device edge GET /v1/self
answered 'an identity does too' 200
device_attests edge
answered 'the device attests again' 201
device_attests edge
jq -n '{reason: "test"}' >"$work/body"
call admin admin POST "/v1/credentials/$serial/revoke" "$work/body"
answered 'a credential is revoked' 200
killed
jq -n --arg s "$serial" '{subjects: [{serial: $s}]}' >"$work/body"
call proxy proxy POST /v1/decisions "$work/body"
same 'a revocation survives a kill' 'deny credential_revoked' "$(field '.decisions[0] | "\(.decision) \(.reason)"')"
device_runs edge 8 EV_IPL 'something else'
device_attests edge
answered 'the device is found altered' 403 untrusted
killed
same 'a verdict survives a kill' deny "$(decision edge | cut -d ' ' -f 1)"
call device edge POST /v1/challenges "$work/empty"
cp "$answer" "$work/challenge"
killed
device_evidence edge <"$work/challenge" >"$work/body"
call device edge POST /v1/evidence "$work/body"
answered 'a challenge does not survive: the device asks again' 409 nonce_unknown
gateway_stop TERM
claim 'a gateway that is asked to stop does' ended "$gateway_pid"

# --- killed under load -------------------------------------------------------------------------------

if [ ! -x "$loadgen" ]; then
    skip 'what was acknowledged under load is there' "no $loadgen: make bench-programs"
    finish
fi
must 'a fleet is put into the store' "$loadgen" provision store="$gateway/gatehouse.db" key="$gateway/ca/identity.key" \
    certificate="$gateway/ca/identity.pem" domain=gatehouse.internal devices=800 fleet="$work/fleet"
must 'it starts with the fleet' gateway_start

# all_are FILE WANTED: each serial in it.
all_are() {
    split -l 500 "$1" "$work/part."
    wrong=0
    for part in "$work"/part.*; do
        jq -R -n '{subjects: [inputs | select(length == 32) | {serial: .}]}' "$part" >"$work/body"
        call proxy proxy POST /v1/decisions "$work/body"
        found=$(jq --arg w "$2" '[.decisions[] | select("\(.decision) \(.reason)" != $w)] | length' "$answer")
        wrong=$((wrong + ${found:-1000}))
        rm "$part"
    done
    same "$(wc -l <"$1") $3, then a kill: all are there" 0 $wrong
}

"$loadgen" revoke fleet="$work/fleet" proxy="127.0.0.1:$(port_of proxy)" admin="127.0.0.1:$(port_of admin)" \
    anchors="$work/server-ca.pem" cert="$work/proxy.pem" key="$work/proxy.key" admin_cert="$work/admin.pem" \
    admin_key="$work/admin.key" seconds=10 acks="$work/acks" 2>"$work/loadgen.err" &
load=$!
started="$started $load"
wait_for 20 test -s "$work/acks"
sleep 0.7
gateway_stop KILL
wait $load
must 'it starts again' gateway_start
all_are "$work/acks" 'deny credential_revoked' 'revocations acknowledged'
rm -f "$work/acks"

for pause in 0.6 1.1 0.35; do
    "$loadgen" attest fleet="$work/fleet" at="127.0.0.1:$(port_of device)" anchors="$work/server-ca.pem" threads=8 \
        seconds=10 acks="$work/acks" 2>"$work/loadgen.err" &
    load=$!
    started="$started $load"
    wait_for 20 test -s "$work/acks"
    sleep $pause
    gateway_stop KILL
    wait $load
    claim 'the load ran until then' test "$(wc -l <"$work/acks")" -gt 5
    must 'it starts again' gateway_start
    all_are "$work/acks" 'allow trusted' 'credentials acknowledged'
    rm -f "$work/acks"
done

call admin admin GET '/v1/audit?limit=1000'
claim 'the audit log has no gap' jq -e '[.items[].seq] | . == [range(1; length + 1)]' "$answer"
claim 'and its chain is whole' "$gatehouse" audit verify --config "$gateway/gatehouse.ini" --authority "$gateway/ca/identity.pem"
finish
