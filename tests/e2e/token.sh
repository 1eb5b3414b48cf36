#!/bin/sh
# test: the access authority's key on a PKCS#11 token, with SoftHSM
cd "$(dirname "$0")" && . ./lib.sh

module=''
for path in /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so; do
    [ ! -e "$path" ] || module=$path
done
if [ -z "$module" ] || ! command -v softhsm2-util >/dev/null; then
    skip 'keys on a token' 'SoftHSM is not installed'
    finish
fi
mkdir "$work/tokens"
printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' "$work/tokens" >"$work/softhsm.conf"
export SOFTHSM2_CONF="$work/softhsm.conf"
token_key() { # LABEL CURVE ID
    openssl ecparam -name "$2" -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$work/$1.p8" &&
        softhsm2-util --import "$work/$1.p8" --token gate --label "$1" --id "$3" --pin 1234 && rm "$work/$1.p8"
}
uri() { echo "pkcs11:token=gate;object=$1?module-path=${2:-$module}&pin-source=file:$work/pin"; }
reload() { # EVENT: how it ends
    before=$(grep -c "\"event\":\"$1\"" "$log")
    kill -HUP "$gateway_pid"
    wait_for 30 sh -c '[ "$(grep -c "\"event\":\"$1\"" "$2")" -gt "$3" ]' sh "$1" "$log" "$before"
}
attests() { # DEVICE FILE
    device_attests "$1"
    [ "$status" = 201 ] || return 1
    field .credential.certificate >"$2"
}
why() { grep '"event":"reload_failed"' "$log" | tail -n 1 | jq -r .why; }

must 'a token' softhsm2-util --init-token --free --label gate --so-pin 12345678 --pin 1234
must 'a key on it' token_key access prime256v1 a1
must 'and another' token_key next secp384r1 a2
(umask 077 && echo 1234 >"$work/pin")
a_gateway edge
enrolled edge
ini=$gateway/gatehouse.ini
list=$gateway/ca/access.epochs

claim 'an authority is made with the key of the token' "$gatehouse" ca rotate --config "$ini" --emergency \
    --key "$(uri access)"
claim 'whose key is in no file' sh -c 'test "$(ls "$1" | grep -c "^access.*key$")" = 1' sh "$gateway/ca"
must 'the gateway takes it' reload reloaded
claim 'a device attests' attests edge "$work/first.pem"
call public - GET /v1/ca/access.pem
cp "$answer" "$work/bundle.pem"
claim 'and its credential holds' openssl verify -purpose sslclient -CAfile "$work/bundle.pem" "$work/first.pem"
same 'it may pass' 'allow trusted' "$(decision edge)"
good_key=$(awk 'END { print $1 }' "$list")

# refused TEXT URI WORDS: with this key the list is not taken, and the old one signs on.
refused() {
    awk -v key="$2" -v old="$good_key" '$1 == old { $1 = key } { print }' "$list" >"$work/list"
    cp "$list" "$work/list.before"
    cat "$work/list" >"$list"
    must "$1: the reload fails" reload reload_failed
    claim "$1: and says why" sh -c 'case $1 in *"$2"*) ;; *) echo "$1"; exit 1 ;; esac' sh "$(why)" "$3"
    claim "$1: credentials are issued still" attests edge "$work/now.pem"
    cat "$work/list.before" >"$list"
}
refused 'no such module' "$(uri access /nowhere/module.so)" 'cannot be loaded'
refused 'no such key' "$(uri nobody)" 'no such private key'
refused 'no such token' "$(uri access | sed 's/token=gate/token=none/')" 'no such token'
refused 'a key of another certificate' "$(uri next)" 'certificate'
refused 'a URI with a PIN in it' "$(uri access)&pin-value=1234" 'pin-value'
echo 4321 >"$work/pin"
refused 'a wrong PIN' "$good_key" 'CKR_PIN_INCORRECT'
chmod 644 "$work/pin"
echo 1234 >"$work/pin"
refused 'a PIN that others can read' "$good_key" 'chmod 600'
chmod 600 "$work/pin"

claim 'the next one is on the token too' "$gatehouse" ca rotate --config "$ini" --key "$(uri next)"
must 'both are taken' reload reloaded
call public - GET /v1/ca/access.pem
same 'and published' 2 "$(grep -c 'BEGIN CERTIFICATE' "$answer")"
claim 'a device attests' attests edge "$work/now.pem"
gateway_stop
must 'the gateway starts with its keys on the token' gateway_start
claim 'and a device attests' attests edge "$work/now.pem"
claim 'a setting may name the token as well' env GATEHOUSE_SIGNER_ACCESS_KEY="$(uri access)" "$gatehouse" check-config \
    --config "$ini"

keeper=$(awk '{ print $1 }' "/proc/$gateway_pid/task/$gateway_pid/children")
signer=$(awk '{ print $1 }' "/proc/$keeper/task/$keeper/children")
tokens=$(cat "/proc/$signer/task/$signer/children")
same 'each key has a process of its own' 2 "$(echo "$tokens" | wc -w)"
# shellcheck disable=SC2086 # words
kill -KILL $tokens
device_attests edge
same 'without its token nothing is issued' no "$([ "$status" = 201 ] && echo yes || echo no)"
claim 'and the gateway ends, as without its signer' wait_for 20 ended "$gateway_pid"
claim 'which the log says' grep -q '"event":"signer_gone"' "$log"
finish
