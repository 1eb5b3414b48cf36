#!/bin/sh
# test: changes in trust reach who follows them: curl, gatehouse watch, and files for proxies; also over a kill
cd "$(dirname "$0")" && . ./lib.sh

a_gateway edge
must 'edge enrols' device_enrols edge acme-edge9
# What is started again has to be found again.
GATEHOUSE_PROXY_LISTEN=127.0.0.1:$(port_of proxy)
export GATEHOUSE_PROXY_LISTEN
url=https://127.0.0.1:$(port_of proxy)
device=$(cat "$work/edge/id")

# follow FILE [CURL-OPTION...]: curl reads the stream into FILE; leaves its process in $follower.
follow() {
    file=$1
    shift
    : >"$file"
    curl -sSN --cacert "$work/server-ca.pem" --cert "$work/proxy.pem" --key "$work/proxy.key" "$@" >"$file" 2>"$file.err" &
    follower=$!
    started="$started $follower"
}
# watch NAME [OPTION...]: its output goes to NAME.out and NAME.err; leaves its process in $watcher.
watch() {
    name=$1
    shift
    : >"$work/$name.out"
    "$gatehouse" watch --url "$url" --ca "$work/server-ca.pem" --cert "$work/proxy.pem" --key "$work/proxy.key" "$@" \
        >"$work/$name.out" 2>"$work/$name.err" &
    watcher=$!
    started="$started $watcher"
}
# issued: a fresh credential; its serial in $serial, the SHA-256 of its certificate in $sha256.
issued() {
    device_attests edge
    [ "$status" = 201 ] || return 1
    serial=$(field .credential.serial)
    call admin admin GET "/v1/credentials/$serial"
    sha256=$(field .certificate_sha256)
}
revoked() { # SERIAL
    echo '{"reason":"e2e"}' >"$work/body"
    call admin admin POST "/v1/credentials/$1/revoke" "$work/body"
    [ "$status" = 200 ]
}
has() { grep -q -- "$1" "$2"; }
has_not() { ! grep -q -- "$1" "$2"; }
count_of() { grep -c -- "$1" "$2"; }

# --- the stream ---------------------------------------------------------------------------------------

follow "$work/live" "$url/v1/changes"
wait_for 10 has '^retry:' "$work/live" || not_ok 'a stream begins'
must 'a credential' issued
first=$serial
claim 'a credential is heard as it is issued' wait_for 10 has "\"serial\":\"$first\"" "$work/live"
must 'a revocation' revoked "$first"
claim 'a revocation is heard' wait_for 10 has '^event: revocation' "$work/live"
claim 'with its reason' has '"reason":"e2e"' "$work/live"

follow "$work/again" -H 'Last-Event-ID: 1' "$url/v1/changes?snapshot=true"
claim 'who comes again hears what followed' wait_for 10 has '^event: revocation' "$work/again"
claim 'and only that' has_not '"seq":1,' "$work/again"
stop_process "$follower"

must 'another credential' issued
second=$serial
follow "$work/snapshot" "$url/v1/changes?snapshot=true"
claim 'a snapshot comes to its end' wait_for 10 has '^event: snapshot' "$work/snapshot"
claim 'it has what is valid' has "\"serial\":\"$second\"" "$work/snapshot"
claim 'and not what was revoked' has_not "\"serial\":\"$first\"" "$work/snapshot"
stop_process "$follower"

follow "$work/unknown" -H 'Last-Event-ID: 99999' "$url/v1/changes"
wait "$follower"
same 'a place that never was ends the stream' 0 $?
claim 'with a reset' has '^event: reset' "$work/unknown"
call proxy proxy GET '/v1/changes?after=x'
answered 'what is no place is refused' 400 invalid_parameter
call proxy edge GET /v1/changes
same 'a device is no proxy' 000 "$status"
call admin admin GET /v1/changes
answered 'and an operator follows nothing' 404 not_found

# --- gatehouse watch, and a gateway that is killed ------------------------------------------------------

for wrong in '' '--url http://127.0.0.1:1' "--url $url" "--url $url --cert a --key b --after -1" \
    "--url $url --cert a --key b --after 1 --snapshot" "--url $url --cert a --key b --max-stale 5" \
    "--url $url --cert a --key b --model ../x" "--url $url --cert a --key b --model a&b" '--url unix:relative'; do
    # shellcheck disable=SC2086 # words of it
    "$gatehouse" watch $wrong >/dev/null 2>&1
    same "watch $(echo "$wrong" | sed "s#$url#URL#") is wrong use" 2 $?
done

watch lines --after 0
claim 'watch tells what happened before' wait_for 10 has "\"serial\":\"$second\"" "$work/lines.out"
cat >"$work/on-event" <<'END'
printf '%s %s %s ' "$GATEHOUSE_EVENT" "$GATEHOUSE_EVENT_ID" "$GATEHOUSE_SERIAL" >>"$work/exec.out"
jq -r .event >>"$work/exec.out"
END
lines=$watcher
export work
watch exec --after 0 --exec "sh $work/on-event"
exec_watcher=$watcher
claim 'watch runs a command for each' wait_for 10 has "^credential [0-9]* $second credential\$" "$work/exec.out"

must 'the gateway is killed' gateway_stop KILL
must 'and comes back' gateway_start
must 'a third credential' issued
third=$serial
must 'which is revoked' revoked "$third"
claim 'who was cut off hears it' wait_for 30 has "\"event\":\"revocation\".*\"serial\":\"$third\"" "$work/lines.out"
jq -r .id "$work/lines.out" >"$work/ids"
same 'nothing was lost, and nothing told twice' "$(seq "$(tail -n 1 "$work/ids")")" "$(cat "$work/ids")"
claim 'the command ran for it, too' wait_for 30 has "^revocation [0-9]* $third revocation\$" "$work/exec.out"
same 'once for each, in order' "$(seq "$(cut -d ' ' -f 2 "$work/exec.out" | tail -n 1)")" "$(cut -d ' ' -f 2 "$work/exec.out")"
claim 'watch said that it was cut off' has 'the stream ends' "$work/lines.err"
stop_process "$exec_watcher"

# --- files for proxies ----------------------------------------------------------------------------------

must 'a fourth credential' issued
fourth=$serial
echo 'left over from before' >"$work/haproxy.map"
watch files --haproxy-map "$work/haproxy.map" --nginx-map "$work/nginx.map" --max-stale 3 \
    --exec "echo \$GATEHOUSE_ENTRIES >>$work/reloads"
files=$watcher
claim 'HAProxy gets the SHA-256 and the tier' wait_for 10 has "^$sha256 measured\$" "$work/haproxy.map"
claim 'nginx gets the serial in its spelling' wait_for 10 has "^$(echo "$fourth" | tr a-f A-F) measured;\$" "$work/nginx.map"
claim 'what was there before is gone' has_not left "$work/haproxy.map"
claim 'what was revoked is not there' has_not "$(echo "$third" | tr a-f A-F)" "$work/nginx.map"
must 'the fourth is revoked' revoked "$fourth"
claim 'it leaves the file' wait_for 10 has_not "$sha256" "$work/haproxy.map"
must 'a fifth credential' issued
claim 'the next one comes' wait_for 10 has "^$sha256 measured\$" "$work/haproxy.map"
echo '{"reason":"e2e"}' >"$work/body"
call admin admin POST "/v1/devices/$device/quarantine" "$work/body"
claim 'a device in quarantine leaves it' wait_for 10 has_not "$sha256" "$work/haproxy.map"
call admin admin POST "/v1/devices/$device/release" "$work/empty"
must 'it is let out, and attests' issued
claim 'and is back' wait_for 10 has "^$sha256 measured\$" "$work/haproxy.map"
claim 'the command ran after each change' wait_for 10 has . "$work/reloads"
same 'no half-written file is left' '' "$(cd "$work" && ls haproxy.map.* nginx.map.* 2>/dev/null)"

must 'the watcher is killed' kill -9 "$files"
wait "$files" 2>/dev/null
claim 'its file is whole' has "^$sha256 measured\$" "$work/haproxy.map"
must 'a revocation that it does not hear' revoked "$serial"
watch files --haproxy-map "$work/haproxy.map" --max-stale 3
claim 'started again it knows how things stand' wait_for 10 has_not "$sha256" "$work/haproxy.map"
must 'a credential' issued
claim 'and goes on' wait_for 10 has "^$sha256 measured\$" "$work/haproxy.map"

# --- the end ----------------------------------------------------------------------------------------------

follow "$work/closing" "$url/v1/changes"
wait_for 10 has '^retry:' "$work/closing" || not_ok 'a stream begins'
must 'the gateway is stopped' gateway_stop
claim 'streams end with a word' wait_for 10 has '^event: closing' "$work/closing"
claim 'a file that nobody keeps current becomes empty' wait_for 20 test ! -s "$work/haproxy.map"
claim 'which is said' has 'nobody passes' "$work/files.err"
must 'the gateway comes back' gateway_start
claim 'and the file with it' wait_for 30 has "^$sha256 measured\$" "$work/haproxy.map"
kill "$lines"
wait "$lines"
same 'watch ends well when it is told to' 0 $?
finish
