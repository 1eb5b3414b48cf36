#!/bin/sh
# test: the audit log is whole, anybody can prove it, and whatever is done to it shows
cd "$(dirname "$0")" && . ./lib.sh

authority=$gateway/ca/identity.pem
export=$work/export

must 'gatehouse init' "$gatehouse" init "$gateway" --listen 127.0.0.1:0
cp "$gateway/admin.pem" "$gateway/admin.key" "$work/"
cp "$gateway/ca/server.pem" "$work/server-ca.pem"
must 'gatehouse serve' gateway_start

# changes FROM TO: two entries each.
changes() {
    for change_i in $(seq "$1" "$2"); do
        jq -n --arg n "edge-$change_i" --arg s "$(printf '%064x' "$change_i")" \
            '{name: $n, dialect: "none", certificate_sha256: $s}' >"$work/body"
        call admin admin POST /v1/proxies "$work/body" && call admin admin DELETE "/v1/proxies/edge-$change_i"
    done
}

# verify ARGUMENT...: what it prints is read with `found`.
verify() { "$gatehouse" audit verify "$@" >"$work/verify.out" 2>"$work/verify.err"; }
found() { jq -r "$1" "$work/verify.out"; }

# --- in pages over HTTP -----------------------------------------------------------------------------

changes 1 10
: >"$export"
next=0
while :; do
    call admin admin GET "/v1/audit?format=ndjson&limit=7&after=$next"
    [ -s "$answer" ] || break
    cat "$answer" >>"$export"
    next=$(sed -n 's/^X-Next-After: \([0-9]*\).*/\1/ip' "$headers")
done
claim 'pages put together are whole' verify "$export" --authority "$authority" --trust-domain gatehouse.internal
same 'they hold every entry' 23 "$(found .entries)"
call admin admin GET '/v1/audit?limit=1000'
same 'the start is one of them' 1 \
    "$(jq '[.items[] | select(.action == "gateway.start" and .actor == "system")] | length' "$answer")"
same 'it names the configuration' "$(sha256sum <"$gateway/gatehouse.ini" | cut -d ' ' -f 1)" \
    "$(field '.items[] | select(.action == "gateway.start") | .after.configuration_sha256')"
claim 'verify reads standard input' verify - <"$export"

# --- without our program ----------------------------------------------------------------------------

# by_hand FILE: each line's hash with sha256sum, and that it says the one before; the number of lines.
by_hand() {
    previous=$(printf '%064d' 0)
    lines=0
    while IFS= read -r line; do
        case $line in '{"checkpoint":'*) continue ;; esac
        said=$(printf '%s' "$line" | sed 's/.*,"hash":"\([0-9a-f]*\)"}$/\1/')
        hash=$(printf '%s' "$line" | sed 's/,"hash":"[0-9a-f]*"}$/}/' | sha256sum | cut -d ' ' -f 1)
        before=$(printf '%s' "$line" | sed 's/.*,"previous":"\([0-9a-f]*\)".*/\1/')
        if [ "$hash" != "$said" ] || [ "$before" != "$previous" ]; then break; fi
        previous=$hash
        lines=$((lines + 1))
    done <"$1"
    echo $lines
}
same 'sha256sum finds the same hashes' 23 "$(by_hand "$export")"

gateway_stop TERM
must 'the log is exported from the store' "$gatehouse" audit export --config "$gateway/gatehouse.ini" --out "$work/stopped"
claim 'and is whole' verify "$work/stopped" --authority "$authority"
same 'it ends with the stop' '"gateway.stop"' "$(grep -v '^{"checkpoint"' "$work/stopped" | tail -n 1 | jq .action)"
same 'which a checkpoint covers' "$(found .last_seq)" "$(found .last_checkpoint_seq)"
same 'whose signature holds' "$(found .checkpoints)" "$(found .checkpoints_verified)"
tail -n 1 "$work/stopped" >"$work/checkpoint"
jq -j '"gatehouse audit checkpoint 1\n\(.trust_domain)\n\(.checkpoint)\n\(.hash)\n\(.time)\n"' "$work/checkpoint" >"$work/text"
jq -r .signature "$work/checkpoint" | base64 -d >"$work/signature"
openssl x509 -in "$authority" -noout -pubkey >"$work/authority.pub"
claim 'openssl says the same of it' openssl dgst -sha256 -verify "$work/authority.pub" -signature "$work/signature" "$work/text"
claim 'an export is never put over a file' test "$("$gatehouse" audit export --config "$gateway/gatehouse.ini" \
    --out "$work/stopped" 2>/dev/null; echo $?)" = 1

# --- what shows -------------------------------------------------------------------------------------

# breaks TEXT SEQ FAULT ARGUMENT...: verify names this entry and fault.
breaks() {
    breaks_text=$1 breaks_wanted="1 $2 $3"
    shift 3
    verify "$@"
    same "$breaks_text" "$breaks_wanted" "$? $(found '.broken | "\(.seq) \(.fault)"')"
}
sed '5s/system/System/; 5s/operator:admin/operator:eve/' "$export" >"$work/edited"
breaks 'an edited line' 5 hash_differs "$work/edited"
sed 5d "$export" >"$work/edited"
breaks 'a dropped line' 5 gap "$work/edited"
sed 5p "$export" >"$work/edited"
breaks 'a doubled line' 6 repeated "$work/edited"
sed 's/$/\r/' "$export" >"$work/edited"
breaks 'line ends of another system' 1 malformed "$work/edited"
head -c -1 "$work/stopped" >"$work/edited"
breaks 'a last line without its end' "$(($(jq .checkpoint "$work/checkpoint") + 1))" truncated "$work/edited"
head -n 20 "$export" >"$work/edited"
claim 'a cut at a line is whole by itself' verify "$work/edited"
breaks 'and is not what is expected' 21 ends_early "$work/edited" --expect-seq 23
sed '$s/"time":"2/"time":"3/' "$work/stopped" >"$work/edited"
breaks 'a checkpoint that was edited' "$(jq .checkpoint "$work/checkpoint")" checkpoint_signature "$work/edited" \
    --authority "$authority"
breaks 'a checkpoint of another authority' "$(jq -s 'map(select(.checkpoint)) | .[0].checkpoint' "$work/stopped")" \
    checkpoint_signature "$work/stopped" --authority "$gateway/ca/access.pem"

cp "$gateway/gatehouse.db" "$work/copy.db"
claim 'a copy of the store is whole' verify --store "$work/copy.db"
sqlite3 "$work/copy.db" "DROP TRIGGER audit_is_not_altered; UPDATE audit SET object = 'proxy:other' WHERE seq = 9"
breaks 'an entry edited in the store' 9 hash_differs --store "$work/copy.db"
cp "$gateway/gatehouse.db" "$work/copy.db"
sqlite3 "$work/copy.db" "DROP TRIGGER audit_is_not_shortened; DELETE FROM audit WHERE seq = 9"
breaks 'an entry removed from the store' 9 hash_differs --store "$work/copy.db"
cp "$gateway/gatehouse.db" "$work/copy.db"
sqlite3 "$work/copy.db" "DROP TRIGGER audit_is_not_shortened; DELETE FROM audit WHERE seq > 9"
breaks 'an end cut off the store' 10 ends_early --store "$work/copy.db"
same 'the rules of the store refuse all that' 19 \
    "$(sqlite3 "$gateway/gatehouse.db" "DELETE FROM audit WHERE seq > 9" >/dev/null 2>&1; echo $?)"

# --- killed under load ------------------------------------------------------------------------------

must 'gatehouse serve' gateway_start
jq -n --arg s "$(printf '%064x' 999)" '{name: "load", dialect: "none", certificate_sha256: $s}' >"$work/load.body"
# Its own copy of the shell: what it leaves in files of its own does not meet ours.
(
    answer=$work/load.answer headers=$work/load.headers
    while call admin admin POST /v1/proxies "$work/load.body" && [ "$status" != 000 ]; do
        call admin admin DELETE /v1/proxies/load && echo "$status" >>"$work/load.done"
    done
) 2>/dev/null &
load=$!
started="$started $load"
wait_for 20 test -s "$work/load.done"
claim 'the store of a gateway that is writing is whole' verify --config "$gateway/gatehouse.ini" --authority "$authority"
sleep 0.5
gateway_stop KILL
wait $load
must 'it starts again' gateway_start
claim 'after a kill the chain is whole' verify --config "$gateway/gatehouse.ini" --authority "$authority"
claim 'nothing acknowledged is missing' test "$(found .entries)" -ge $((24 + 2 * $(grep -c 204 "$work/load.done")))

# --- pruned -----------------------------------------------------------------------------------------

call admin admin GET '/v1/audit/checkpoints?limit=1000'
through=$(field '.items[-1].seq')
jq -n --argjson s "$through" '{through_seq: $s}' >"$work/body"
call admin admin POST /v1/audit/prune "$work/body"
answered 'the log is pruned up to a checkpoint' 200
pruned() { [ "$(sqlite3 -readonly "$gateway/gatehouse.db" 'SELECT min(seq) FROM audit')" = $((through + 1)) ]; }
claim 'what was before is gone soon' wait_for 20 pruned
claim 'the rest is whole' verify --config "$gateway/gatehouse.ini" --authority "$authority"
same 'from its checkpoint on' "checkpoint $((through + 1))" "$(found '"\(.begins) \(.first_seq)"')"
verify --config "$gateway/gatehouse.ini"
same 'which is taken on trust without the authority' on_trust "$(found .begins)"
same 'and the prune is in the log' "$through" "$("$gatehouse" audit export --config "$gateway/gatehouse.ini" |
    jq 'select(.action == "audit.prune") | .after.through_seq')"
gateway_stop TERM
finish
