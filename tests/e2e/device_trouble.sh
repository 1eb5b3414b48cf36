#!/bin/sh
# test: the device client meets trouble - configuration, network, TPM, approval, another instance - and says so
cd "$(dirname "$0")" && . ./lib.sh

must 'a vendor is there' vendor_new acme
must 'a device is made' device_new edge acme
must 'it boots' device_boot edge
must 'gatehouse init' gateway_init acme
export GATEHOUSE_ENROLMENT_PENDING_PER_IP=1000 GATEHOUSE_ENROLMENT_PER_IP_PER_MINUTE=100000
must 'gatehouse serve' gateway_start
must 'a model and its baseline' gateway_model acme-edge9 edge
jq -n '{name: "asked", enrolment: "approval"}' >"$work/body"
call admin admin POST /v1/models "$work/body"
answered 'a model whose devices an operator approves' 201

state=$work/edge/state
configure() { device_configures edge acme-edge9 'tries = 3' 'backoff = 0' 'credential_key = file' 'identity_key = file' "$@"; }
config=$work/edge/client.conf
ends() { # TEXT CODE COMMAND...
    ends_text=$1 ends_code=$2
    shift 2
    PATH=${tools:+$tools:}$PATH device_client edge "$@" >"$work/said" 2>&1 </dev/null
    ended_with=$?
    if [ $ended_with -eq "$ends_code" ]; then ok "$ends_text"; else not_ok "$ends_text" "wanted $ends_code, got $ended_with" "$(tail -n 5 "$work/said")"; fi
}
says() { claim "$1" grep -q -e "$2" "$work/said"; }
tools=''

# --- command line and configuration --------------------------------------------------------------------

configure
ends 'an unknown command' 2 frobnicate
ends 'an unknown option' 2 status --frobnicate
ends 'two commands' 2 enrol attest
ends '--json is for status' 2 attest --json
ends '--wait is for enrol' 2 attest --wait
ends 'no configuration' 2 --config "$work/nowhere" status
says 'it is named' "$work/nowhere cannot be read"

# mistake TEXT LINE MESSAGE: the line is refused, with its number.
mistake() {
    configure "$2"
    ends "$1" 2 status
    says "$1, it says where and what" "$config:$(wc -l <"$config"): $3"
}
mistake 'an unknown key' 'colour = blue' 'unknown key colour'
mistake 'no key at all' 'blue' 'not "key = value"'
mistake 'a key with a trick' 'ho$(id)ok = /bin/true' 'unknown key'
mistake 'a key twice' 'tries = 4' 'tries stands twice'
mistake 'plain HTTP' 'enrol_url = http://127.0.0.1' 'enrol_url: not an https'
mistake 'a URL with a space' 'device_url = https://a b' 'device_url: not an https'
mistake 'a relative path' 'hook = reload' 'hook: not an absolute path'
mistake 'no number' 'timeout = soon' 'timeout: not a number from'
mistake 'a number too large' 'timeout = 999999999999999999999' 'timeout: not a number from'
mistake 'another number too small' 'timeout = 0' 'timeout: not a number from'
mistake 'an algorithm that is not known' 'ak_algorithm = dsa' 'ak_algorithm: not one of'
mistake 'a handle that is not persistent' 'ak_handle = 0x80000001' 'ak_handle: not a persistent handle'
mistake 'a model with a slash' 'model = a/b' 'model: a character'
mistake 'a TPM with a blank' 'tcti = swtpm:path=/a b' 'tcti: a character'
configure 'timeout = soon' 'colour = blue'
ends 'two mistakes' 2 status
same 'are told at once' 2 "$(grep -c "$config:" "$work/said")"
configure
sed -i /^model/d "$config"
ends 'a key that is missing' 2 status
says 'is named' 'model is missing'
configure
chmod g+w "$config"
ends 'a configuration that others can write' 2 status
configure
chmod 600 "$config"
# Nothing in the file is run.
configure "hook = /\$(touch $work/ran)/\`touch $work/ran\`" "# \$(touch $work/ran)"
ends 'a value full of tricks is a value' 4 status
claim 'and nothing of it ran' test ! -e "$work/ran"
configure '' '   # a comment' '  connect_timeout=5  '
printf 'timeout = 30' >>"$config"
ends 'blanks, comments, and a last line without an end' 4 status

# --- the machine ---------------------------------------------------------------------------------------

: >"$work/file"
sed "s|^state_dir.*|state_dir = $work/file/state|" "$config" >"$config.new"
ends 'a state directory that cannot be made' 1 --config "$config.new" enrol
says 'is named' "$work/file/state cannot be made"
mkdir -m 755 "$work/open"
sed "s|^state_dir.*|state_dir = $work/open|" "$config" >"$config.new"
ends 'one that others can read' 1 --config "$config.new" enrol
same 'is left as it is' 755 "$(stat -c %a "$work/open")"
if [ "$(id -u)" -eq 0 ] && unshare -m true 2>/dev/null; then
    mkdir -m 700 "$work/full"
    sed "s|^state_dir.*|state_dir = $work/full|" "$config" >"$config.new"
    # shellcheck disable=SC2016 # the inner shell's
    unshare -m sh -c 'mount -t tmpfs -o ro,mode=700 none "$1" && exec "$2" --config "$3" enrol' sh "$work/full" \
        "$root/deploy/device/gatehouse-device" "$config.new" >"$work/said" 2>&1
    same 'a state directory that is read only' 1 $?
    says 'is told' "$work/full cannot be written to"
else
    skip 'a state directory that is read only' 'nothing can be mounted here'
fi
sed "s|^tcti.*|tcti = swtpm:path=$work/nothing|" "$config" >"$config.new"
ends 'no TPM' 7 --config "$config.new" enrol
says 'it says where none is' "none answers at swtpm:path=$work/nothing"
sed "s|^tcti.*|tcti = device:/dev/no-tpm|" "$config" >"$config.new"
ends 'no device of a TPM' 7 --config "$config.new" enrol
says 'it says so' 'there is no /dev/no-tpm'
configure 'ek_algorithm = ecc256'
ends 'no certificate of that kind in the TPM' 7 enrol
says 'it says which' 'no endorsement key certificate at 0x1c0000a'
configure 'ek_handle = 0x81010016'
ends "an EK that is not the certificate's" 7 enrol
says 'it says so' 'is not the one in the certificate'
configure "ek_certificate = $config"
ends 'an EK certificate that is none' 2 enrol
configure 'ak_handle = 0x81010001'
ends 'a handle in use by another kind of key' 7 enrol
says 'it is not taken' 'not ours to remove'
mkdir "$work/few"
for tool in sh cat sed grep find mkdir dirname id env jq openssl tpm2 flock mktemp rm; do
    ln -s "$(command -v $tool)" "$work/few/$tool"
done
PATH=$work/few device_client edge enrol >"$work/said" 2>&1
same 'a tool that is missing' 1 $?
says 'is named' 'curl is missing'

# --- the gateway ---------------------------------------------------------------------------------------

configure
ends 'it enrols, now that all is well' 0 enrol
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/else.key" -subj '/CN=somebody else' \
    -out "$work/else.pem" 2>/dev/null
sed "s|^ca_file.*|ca_file = $work/else.pem|" "$config" >"$config.new"
ends 'a gateway of another authority' 6 --config "$config.new" attest
says 'is not talked to' "certificate is not by an authority in $work/else.pem"
claim 'nor is it tried twice' sh -c '! grep -q "^gatehouse-device: try " "$1"' sh "$work/said"
printf 'insecure\ncacert = "%s"\n' "$work/server-ca.pem" >"$work/.curlrc"
HOME=$work CURL_CA_BUNDLE=$work/server-ca.pem SSL_CERT_FILE=$work/server-ca.pem \
    device_client edge --config "$config.new" attest >"$work/said" 2>&1
same "curl's own settings and the environment's change nothing of that" 6 $?
sed "s|^ca_file.*|ca_file = $work/nowhere.pem|" "$config" >"$config.new"
ends 'a CA file that is not there' 1 --config "$config.new" attest

# curl answers from files, sleep only writes down: what is done between tries can be read.
mkdir "$work/tools"
cat >"$work/tools/curl" <<END
#!/bin/sh
echo call >>"$work/calls"
answer=$work/canned.\$(wc -l <"$work/calls")
[ -f "\$answer" ] || exec $(command -v curl) "\$@"
[ -s "\$answer" ] || { echo 'curl: (7) nobody there' >&2; exit 7; }
while [ \$# -gt 0 ]; do
    case \$1 in -o) tail -n 1 "\$answer" >"\$2" ;; -D) sed -n '2,\$p' "\$answer" | sed '\$d' >"\$2" ;; esac
    shift
done
sed -n 1p "\$answer" | tr -d '\n'
END
cat >"$work/tools/sleep" <<END
#!/bin/sh
echo "\$1" >>"$work/slept"
END
chmod +x "$work/tools/curl" "$work/tools/sleep"
tools=$work/tools
canned() { # NUMBER STATUS HEADER BODY
    printf '%s\n%s\n%s\n' "$2" "$3" "$4" >"$work/canned.$1"
}
fresh() {
    rm -f "$work"/canned.* "$work/slept" "$work/calls"
    : >"$work/calls"
    : >"$work/slept"
}
configure
fresh
canned 1 503 'Retry-After: 7' '{"code":"overloaded"}'
: >"$work/canned.2"
ends 'a busy gateway and one that is away are tried again' 0 attest
same 'once each' 4 "$(wc -l <"$work/calls")"
same 'after the time that it asks for' 7.000 "$(head -n 1 "$work/slept")"
fresh
sed 's/^backoff.*/backoff = 2/; s/^tries.*/tries = 7/' "$config" >"$config.new"
echo 'backoff_max = 10' >>"$config.new"
for i in 1 2 3 4 5 6 7; do : >"$work/canned.$i"; done
ends 'a gateway that is away for long is given up' 6 --config "$config.new" attest
same 'after as many tries as it may' 7 "$(wc -l <"$work/calls")"
says 'it says how it is' 'cannot be reached .* after 7 tries: .*nobody there'
claim 'it waits a random time below 2, 4, 8, 10, 10, 10 s' awk 'BEGIN { split("2 4 8 10 10 10", bound) }
    $1 < 0 || $1 > bound[NR] { bad = 1 } { seen[$1] = 1 } END { for (i in seen) n++; exit bad || NR != 6 || n < 2 }' "$work/slept"
fresh
canned 1 429 'Retry-After: 100000' '{"code":"rate_limited"}'
ends 'who asks for a day is left alone' 6 attest
same 'at once' '1 0' "$(wc -l <"$work/calls") $(wc -l <"$work/slept")"
fresh
canned 1 403 'X: y' '{"code":"strange_new_code","detail":"of a later version\u001b[31m"}'
ends 'a code that is not known' 8 attest
says 'is shown as it is' 'refused a challenge: strange_new_code$'
says 'with what the gateway says of it' 'it says: of a later version'
claim 'but no control characters' sh -c '! grep -q "$(printf "\033")" "$1"' sh "$work/said"
same 'a verdict is not asked for twice' 1 "$(wc -l <"$work/calls")"
for code in nonce_expired policy_changed; do
    fresh
    canned 2 409 'X: y' "{\"code\":\"$code\"}"
    ends "$code: another challenge is taken" 0 attest
    same 'the evidence is made anew' 4 "$(wc -l <"$work/calls")"
done
fresh
canned 1 201 'X: y' '{"nonce":"*","pcr_selection":{"sha256; id":[0]},"wanted":[]}'
ends 'a challenge that makes no sense' 8 attest
fresh
canned 2 201 'X: y' '{"verdict":"trusted","credential":{"certificate":"none"}}'
before=$(readlink "$state/credential")
ends 'a credential that is none' 8 attest
same 'is not put in place' "$before" "$(readlink "$state/credential")"
fresh
tools=''

# --- away and back -------------------------------------------------------------------------------------

device_port=$(port_of device)
gateway_stop
configure 'backoff_max = 1'
sed -i 's/^tries.*/tries = 100/; s/^backoff =.*/backoff = 1/' "$config"
device_client edge attest >"$work/said" 2>&1 &
attesting=$!
started="$started $attesting"
must 'it notices that the gateway is away' wait_for 20 grep -q '^gatehouse-device: try ' "$work/said"
ends 'another one does not wait for it' 9 attest
says 'it says why' 'another gatehouse-device is at work'
ends 'status is told meanwhile' 0 status
export GATEHOUSE_DEVICE_LISTEN="127.0.0.1:$device_port"
must 'the gateway comes back' gateway_start
wait $attesting
same 'and the device goes on' 0 $?
says 'to its credential' '^trusted: '

# The same without flock(1).
mkdir "$work/plain"
for tool in /usr/bin/*; do
    case $tool in */flock) ;; *) ln -s "$tool" "$work/plain/" ;; esac
done
configure
mkdir "$state/lock.d"
echo $$ >"$state/lock.d/pid"
PATH=$work/plain device_client edge attest >"$work/said" 2>&1
same 'a lock that somebody holds' 9 $?
(exit 0) &
dead=$!
wait $dead
echo $dead >"$state/lock.d/pid"
PATH=$work/plain device_client edge attest >"$work/said" 2>&1
same 'a lock that a dead one left' 0 $?
claim 'and it is given back' test ! -e "$state/lock.d"

# --- approval ------------------------------------------------------------------------------------------

must 'another device is made' device_new asking acme
must 'it boots' device_boot asking
device_configures asking asked 'tries = 3' 'backoff = 0' 'credential_key = file' 'identity_key = file'
device_client asking enrol >"$work/said" 2>&1
same 'a device that has to be approved waits' 5 $?
says 'it says so' "waits for an operator's approval"
asking=$(sed -n 's/^pending_approval: device //p' "$work/said")
device_client asking enrol >"$work/said" 2>&1
same 'asking again is the same enrolment' "5 pending_approval: device $asking" "$? $(tail -n 1 "$work/said")"
device_client asking status >"$work/said" 2>&1
same 'status knows' '5 enrolling' "$? $(cat "$work/said")"
device_client asking attest >"$work/said" 2>&1
same 'it cannot attest' 5 $?
PATH=$work/tools:$PATH device_client asking enrol --wait >"$work/said" 2>&1 &
waiting=$!
started="$started $waiting"
must 'it can wait' wait_for 20 grep -q "waits for an operator's approval" "$work/said"
call admin admin POST "/v1/devices/$asking/approve" "$work/empty"
answered 'an operator approves it' 200
wait $waiting
same 'and it is enrolled' 0 $?
says 'as the same' "^enrolled: device $asking"
echo '{"reason":"stolen"}' >"$work/body"
call admin admin POST "/v1/devices/$asking/retire" "$work/body"
answered 'an operator retires it' 200
device_client asking attest >"$work/said" 2>&1
same 'then it is refused' 8 $?
says 'in words' 'an operator has retired this device (device_retired)'
finish
