#!/bin/sh
# test: an event log that the gateway holds is not sent again, by the device client and over the wire
cd "$(dirname "$0")" && . ./lib.sh

a_gateway edge other
device_configures edge acme-edge9 'tries = 2' 'backoff = 0' 'credential_key = file' 'identity_key = file'

# Every body that the client sends stays in $work/sent, numbered. A challenge's answer goes through the jq program
# in $work/lie, when there is one: what a gateway that remembers wrongly would say.
mkdir "$work/tools" "$work/sent"
cat >"$work/tools/curl" <<END
#!/bin/sh
out='' last=''
for argument in "\$@"; do
    case \$last in -o) out=\$argument ;; esac
    case \$argument in @*) body=\${argument#@} ;; esac
    last=\$argument
done
case "\$*" in
*/v1/evidence*) cp "\$body" "$work/sent/\$(ls "$work/sent" | wc -l)" ;;
esac
$(command -v curl) "\$@" || exit
case "\$*" in
*/v1/challenges*) [ ! -e "$work/lie" ] || { jq -f "$work/lie" "\$out" >"\$out.lie" && mv "\$out.lie" "\$out"; } ;;
esac
END
chmod +x "$work/tools/curl"
# client TEXT CODE COMMAND: how the client ends; what it sent is left in $work/sent.
client() {
    rm -f "$work/sent"/*
    PATH=$work/tools:$PATH device_client edge "$3" >"$work/said" 2>&1 </dev/null
    ended_with=$?
    if [ $ended_with -eq "$2" ]; then ok "$1"; else not_ok "$1" "wanted $2, got $ended_with" "$(tail -n 5 "$work/said")"; fi
}
# sent: for each body, how the event log went along.
sent() {
    for body in "$work/sent"/*; do
        jq -r '[if .tcg_event_log then "log" else empty end, if .tcg_event_log_sha256 then "digest" else empty end] | join("+")' "$body"
    done | paste -s -d ' ' -
}
boots_anew() { device_power_off "$1"; device_boot "$1"; }
sha256_of() { sha256sum "$1" | cut -d ' ' -f 1; }

# --- the device client ---------------------------------------------------------------------------------

client 'the client enrols' 0 enrol
client 'attests' 0 attest
same 'the first time with the log' log "$(sent)"
first=$(wc -c <"$work/sent/0")
client 'and again' 0 attest
same 'from then on with its digest' digest "$(sent)"
claim 'which is much less to send' test "$(wc -c <"$work/sent/0")" -lt $((first / 2))
gateway_stop TERM
must 'the gateway starts again' gateway_start
device_configures edge acme-edge9 'tries = 2' 'backoff = 0' 'credential_key = file' 'identity_key = file'
client 'a gateway that was started again' 0 attest
same 'holds it still' digest "$(sent)"
must 'the device boots again, as before' boots_anew edge
client 'the same boot' 0 attest
same 'has the same log' digest "$(sent)"
must 'something else runs' device_runs edge 9 EV_IPL other-initrd
client 'another boot is another verdict' 3 attest
same 'and goes with its log' log "$(sent)"
must 'the approved software is booted' boots_anew edge
client 'and is trusted' 0 attest
same 'with its log' log "$(sent)"

# A gateway that says it holds a log, and does not: the device believes it until it is told.
must 'something else runs again' device_runs edge 9 EV_IPL other-initrd
client 'another verdict' 3 attest
must 'the approved software is booted again' boots_anew edge
printf '.tcg_event_log_sha256 = "%s"\n' "$(sha256_of "$work/edge/log")" >"$work/lie"
client 'a log that the gateway lacks after all' 0 attest
same 'is sent when it is wanted' 'digest log' "$(sent)"
same 'over the same challenge' 1 "$(jq -r .nonce "$work/sent"/* | sort -u | wc -l)"
same 'and quote' 1 "$(jq -r .tpm2.quote "$work/sent"/* | sort -u | wc -l)"
for lie in '.tcg_event_log_sha256 = 7' 'del(.tcg_event_log_sha256)' '.tcg_event_log_sha256 = "x"' \
    ".tcg_event_log_sha256 = \"$(printf %064d 0)\""; do
    echo "$lie" >"$work/lie"
    client "a challenge with $lie" 0 attest
    same 'the log goes along' log "$(sent)"
done
echo '.wanted = []' >"$work/lie"
client 'a gateway that wants no log' 0 attest
same 'gets none' '' "$(sent)"
rm "$work/lie"

# --- over the wire -------------------------------------------------------------------------------------

enrolled other
device_attests other
answered 'a device attests' 201
call device other POST /v1/challenges "$work/empty"
same 'its next challenge names its log' "$(sha256_of "$work/other/log")" "$(field .tcg_event_log_sha256)"
device_evidence other <"$answer" >"$work/other/evidence.json"
# named DIGEST: the evidence with this in place of the log.
named() {
    jq --arg digest "$1" 'del(.tcg_event_log) | .tcg_event_log_sha256 = $digest' "$work/other/evidence.json" >"$work/body"
    call device other POST /v1/evidence "$work/body"
}
named "$(printf %064d 0)"
answered 'a log that nobody holds is wanted' 409 log_wanted
must 'the other device runs something of its own' device_runs edge 9 EV_IPL own
client 'and shows it' 3 attest
named "$(sha256_of "$work/edge/log")"
answered 'a log that only another device sent is wanted' 409 log_wanted
named "$(sha256_of "$work/other/log" | tr a-f A-F)"
answered 'a digest in capitals is none' 400 invalid_field
jq --arg digest "$(sha256_of "$work/other/log")" '.tcg_event_log_sha256 = $digest' "$work/other/evidence.json" >"$work/body"
call device other POST /v1/evidence "$work/body"
answered 'log and digest together are refused' 400 invalid_field
named "$(sha256_of "$work/other/log")"
answered 'after all that the nonce is good' 201
named "$(sha256_of "$work/other/log")"
answered 'once' 409 nonce_used

call device other POST /v1/challenges "$work/empty"
before=$(field .tcg_event_log_sha256)
cp "$answer" "$work/challenge"
must 'something more is measured' device_runs other 9 EV_IPL more
device_evidence other <"$work/challenge" >"$work/other/evidence.json"
named "$before"
answered 'the log of before does not explain what was measured since' 422 log_does_not_replay
same 'and the standing is as it was' 'allow trusted' "$(decision other)"

# --- files ---------------------------------------------------------------------------------------------

must 'the device boots' boots_anew other
jq -n '{nonce: "AAAA", pcr_selection: {sha256: [0,1,2,3,4,5,6,7,8,9,14]}}' |
    device_evidence other >"$work/other/evidence.json"
device_pcrs other 0,1,2,3,4,5,6,7,8,9,14 |
    jq '{schema: "gatehouse/baseline/1", model: "acme-edge9", label: "as booted", bank: "sha256", pcrs: .}' >"$work/baseline.json"
jq --arg digest "$(sha256_of "$work/other/log")" 'del(.tcg_event_log) | .tcg_event_log_sha256 = $digest' \
    "$work/other/evidence.json" >"$work/named.json"
appraise() { "$gatehouse" appraise --baseline "$work/baseline.json" --evidence "$work/named.json" --ak "$work/other/ak.pub" --nonce 000000 "$@"; }
appraise >"$work/verdict" 2>"$work/said"
same 'gatehouse appraise wants the log that evidence only names' 1 $?
claim 'and says how to give it' grep -q -e 'tcg_event_log_sha256.*--log FILE' "$work/said"
appraise --log "$work/other/log" >"$work/verdict" 2>"$work/said"
same 'with it the verdict is as ever' '0 trusted' "$? $(jq -r .verdict "$work/verdict")"
appraise --log "$work/edge/log" >"$work/verdict" 2>"$work/said"
same 'with another it is unusable' 1 $?

finish
