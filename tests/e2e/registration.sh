#!/bin/sh
# test: devices are announced in bulk through a running gateway, and enrol where only they may
cd "$(dirname "$0")" && . ./lib.sh

rows=${REGISTRATION_ROWS:-100000}
a_gateway edge

# rows_csv NUM SEED: so many announcements by the digest of a key.
rows_csv() {
    awk -v num="$1" -v seed="$2" 'BEGIN {
        print "model,ek_sha256,note"
        for (i = 0; i < num; i++) {
            h = (i * 2654435761 + seed * 40503) % 4294967296
            printf "acme-edge9,%08x%024x%032x,\"row %d, of %d\"\n", h, i, seed, i, num
        }
    }'
}

# uploads FILE TYPE PATH [OPTION...]: like call, with rows.
uploads() {
    upload=$1 type=$2 path=$3
    shift 3
    status=$(curl -sS --max-time 300 -o "$answer" -D "$headers" -w '%{http_code}' -X POST --cacert "$work/server-ca.pem" \
        --cert "$work/admin.pem" --key "$work/admin.key" -H "Content-Type: $type" "$@" \
        --data-binary "@$upload" "https://127.0.0.1:$(port_of admin)$path" 2>"$work/curl.err") || :
}

fleet_counts() { # STATE
    call admin admin GET /v1/fleet
    field "[.counts[] | select(.state == \"$1\") | .count] | add // 0"
}

# --- many -------------------------------------------------------------------------------------------------

bad=$((rows / 2))
rows_csv "$rows" 1 | sed "${bad}s/,[0-9a-f]*,/,not a digest,/" >"$work/rows.csv"
uploads "$work/rows.csv" text/csv /v1/devices
answered "$rows rows with a bad one are taken" 200
same 'all are registered but the bad one' "$rows $((rows - 1)) 0 1" \
    "$(field '"\(.rows) \(.registered) \(.already_registered) \(.num_errors)"')"
same 'the bad one is named by its line and code' "$bad invalid_field" "$(field '.errors[] | "\(.row) \(.code)"')"
upload_id=$(field .registration)
same 'they are counted' "$((rows - 1))" "$(fleet_counts registered)"

uploads "$work/rows.csv" text/csv /v1/devices
same 'the same upload again registers nothing' "0 $((rows - 1)) 1" \
    "$(field '"\(.registered) \(.already_registered) \(.num_errors)"')"

call admin admin GET '/v1/devices?state=registered&limit=1'
id=$(field '.items[0].id')
call admin admin GET "/v1/devices/$id"
same 'a device leads to its upload' "registered $upload_id" "$(field '"\(.state) \(.registration)"')"
after=0 named=0
while call admin admin GET "/v1/audit?limit=1000&after=$after" && [ "$(field '.items | length')" -gt 0 ]; do
    named=$((named + $(field "[.items[] | select(.object == \"upload:$upload_id\") | .after.registered] | add // 0")))
    after=$(field '.items[-1].seq')
done
same 'the audit names how many the upload registered' "$((rows - 1))" "$named"

# Empty lines are no rows: 60 MiB of them and one bad row.
peak() { awk '/^VmHWM/ { print $2 }' "/proc/$gateway_pid/status"; } # KiB
before=$(peak)
{ yes "$(printf '%1023s' '')" | head -n 61440; echo '{}'; } >"$work/rows.ndjson"
uploads "$work/rows.ndjson" application/x-ndjson /v1/devices
same 'a line number far down is right' '61441 missing_field' "$(field '.errors[] | "\(.row) \(.code)"')"
if [ "${SAN:-none}" = none ]; then
    claim 'an upload of 60 MiB is not held in memory' [ $(($(peak) - before)) -lt 16384 ]
else
    skip 'an upload of 60 MiB is not held in memory' 'a sanitizer keeps what is freed'
fi

# --- what ends otherwise ------------------------------------------------------------------------------------

rows_csv 5000 2 | sed '3000s/,[0-9a-f]*,/,,/' >"$work/rows.csv"
uploads "$work/rows.csv" text/csv '/v1/devices?all_or_nothing=true'
answered 'all or nothing is nothing when a row is bad' 422 rows_refused
same 'it says which' '3000 missing_field' "$(field '.errors[] | "\(.row) \(.code)"')"
same 'nothing of it is kept' "$((rows - 1))" "$(fleet_counts registered)"

# A client that goes away in the middle: the pipe gives it no end.
broken_off() { grep -q '"method":"POST","route":"/v1/devices","status":0' "$log"; }
mkfifo "$work/pipe"
curl -sS --max-time 60 -o /dev/null -X POST --cacert "$work/server-ca.pem" --cert "$work/admin.pem" --key "$work/admin.key" \
    -H 'Content-Type: text/csv' -H 'Expect:' -T - "https://127.0.0.1:$(port_of admin)/v1/devices" <"$work/pipe" 2>/dev/null &
curl_pid=$!
started="$started $curl_pid"
exec 3>"$work/pipe"
rows_csv 20000 3 >&3
kill -KILL $curl_pid
exec 3>&-
claim 'the gateway sees that an upload broke off' wait_for 20 broken_off
same 'nothing of it is kept' "$((rows - 1))" "$(fleet_counts registered)"

same 'an upload beyond 64 MiB is refused before it comes' 413 "$(
    curl -sS --max-time 60 -o /dev/null -w '%{http_code}' -X POST --cacert "$work/server-ca.pem" --cert "$work/admin.pem" \
        --key "$work/admin.key" -H 'Content-Type: text/csv' -H 'Content-Length: 67108865' -H 'Expect: 100-continue' \
        --data-binary 'model' "https://127.0.0.1:$(port_of admin)/v1/devices" 2>/dev/null
)"

# --- who was announced enrols -------------------------------------------------------------------------------

device_enrolment edge acme-edge9 >"$work/body"
jq -r .ek_certificate "$work/body" >"$work/ek.base64"
jq -n '{enrolment: "closed"}' >"$work/closed"
call admin admin PUT /v1/models/acme-edge9 "$work/closed"
answered 'the model is closed' 200
call enrol - POST /v1/enrollments "$work/body"
same 'a device that nobody announced does not enrol' 403 "$status"
jq -nc --rawfile ek "$work/ek.base64" '{model: "acme-edge9", ek_certificate: ($ek | rtrimstr("\n"))}' >"$work/rows.ndjson"
uploads "$work/rows.ndjson" application/x-ndjson /v1/devices
same 'it is announced by its certificate' 1 "$(field .registered)"
claim 'then it enrols' device_enrols edge acme-edge9
call admin admin GET "/v1/devices/$(cat "$work/edge/id")"
same 'it is enrolled, and still leads to the upload that announced it' enrolled "$(field 'select(.registration != null) | .state')"
call admin admin DELETE "/v1/devices/$(cat "$work/edge/id")"
answered 'it is not removed any more' 409 wrong_state
call admin admin DELETE "/v1/devices/$id"
answered 'a device that never enrolled is removed' 204

# --- after a restart ----------------------------------------------------------------------------------------

must 'the gateway stops' gateway_stop
must 'it starts again' gateway_start
same 'it still knows who is announced' "$((rows - 2))" "$(fleet_counts registered)"

finish
