#!/bin/sh
# demo.sh: the whole story on one machine, with a simulated TPM. `make demo` builds what it takes and runs it.
#
#   KEEP=1 make demo    leaves gateway and device running, and says how to go on
#
# Needs no root, asks nothing, uses free loopback ports, writes to a folder of its own and removes it. Ends
# with 0 only when every step did what it says.
set -eu

demo=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$demo/../.." && pwd)
BUILD=${BUILD:-build}
case $BUILD in /*) gatehouse=$BUILD/gatehouse ;; *) gatehouse=$root/$BUILD/gatehouse ;; esac
work=$(mktemp -d "${TMPDIR:-/tmp}/gatehouse-demo.XXXXXX")
export LC_ALL=C TZ=UTC0

# shellcheck source=deploy/demo/device.sh
. "$demo/device.sh"
# shellcheck source=deploy/demo/gateway.sh
. "$demo/gateway.sh"
# shellcheck source=deploy/demo/proxy.sh
. "$demo/proxy.sh"

if [ -t 1 ] && [ "${TERM:-dumb}" != dumb ] && [ -z "${NO_COLOR-}" ]; then
    bold=$(printf '\033[1m') dim=$(printf '\033[2m') green=$(printf '\033[32m') red=$(printf '\033[31m') plain=$(printf '\033[0m')
else
    bold='' dim='' green='' red='' plain=''
fi

# --- telling -----------------------------------------------------------------------------------------

number=0
told=''

chapter() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; }
step() {
    number=$((number + 1))
    told=$1
    printf '\n%s%2d.%s %s\n' "$bold" $number "$plain" "$(printf '%s' "$1" | fold -s -w 96 | sed '2,$s/^/    /')"
}
# client DEVICE COMMAND...: the device's own program, which ends with $ended; what it says is shown, and is in $said.
said=$work/said
client() {
    ended=0
    device_client "$@" >"$said" 2>&1 || ended=$?
    shift
    called="gatehouse-device $*"
    ran "$called"
    sed 's/^gatehouse-device: //' "$said" | fold -s -w 90 | while IFS= read -r line; do fact "$line"; done
}
client_ends() { # CODE [WORD]: and has said that
    if [ "$ended" != "$1" ] || ! grep -q "${2-}" "$said"; then fail "$called ended with $ended, not $1 and '${2-}': $(cat "$said")"; fi
}
http() {
    code=$(field '.code // empty') || code=''
    printf '    %s%s%s  %s%s%s\n' "$dim" "$called" "$plain" "$green" "$status${code:+ $code}" "$plain"
}
ran() { printf '    %s$ %s%s\n' "$dim" "$1" "$plain"; }
fact() { printf '      %s\n' "$1"; }

fail() {
    printf '\n%sThis step did not do what it says: %s%s\n' "$red" "$told" "$plain" >&2
    [ $# -eq 0 ] || printf '%s\n' "$1" >&2
    if [ -s "$log" ]; then
        echo 'The gateway says:' >&2
        tail -n 15 "$log" | sed 's/^/    /' >&2
    fi
    exit 1
}

# must COMMAND...: a step of the device or of the gateway's program.
must() { "$@" || fail "failed: $*"; }

# expect STATUS [CODE]: of the call just made; shows it.
expect() {
    if [ "$status" != "$1" ] || { [ $# -gt 1 ] && [ "$(field .code)" != "$2" ]; }; then
        fail "$called answered $status, not $*: $(head -c 600 "$answer") $(cat "$work/curl.err")"
    fi
    http
}

expect_decision() { # DEVICE "allow trusted"
    call proxy proxy GET "/v1/decisions/$(cat "$work/$1/id")"
    expect 200
    found=$(field '"\(.decision) \(.reason)"')
    [ "$found" = "$2" ] || fail "the decision is '$found', not '$2'"
    fact "$(field '"decision: \(.decision), reason: \(.reason), lease until: \(.lease_expires_at)"')"
}

# page STATUS: what nginx answers the device, which shows the credential that it has.
page() {
    credential=$work/edge-1/state/credential
    called="GET https://localhost:$guard/page"
    status=$(curl -sS --max-time 30 -o "$answer" -w '%{http_code}' --cacert "$work/server-ca.pem" \
        --cert "$credential/certificate.pem" --key "$credential/key.pem" "https://localhost:$guard/page" 2>"$work/curl.err") || :
    [ "$status" = "$1" ] || fail "$called answered $status, not $1: $(head -c 600 "$answer") $(cat "$work/curl.err")"
    printf '    %s%s%s  %s%s%s\n' "$dim" "$called" "$plain" "$green" "$status" "$plain"
}

# --- ending ------------------------------------------------------------------------------------------

clean_up() {
    code=$?
    trap - EXIT HUP INT TERM
    stop_processes
    rm -rf "$work"
    exit $code
}
trap clean_up EXIT
trap 'exit 130' HUP INT TERM

for tool in swtpm swtpm_setup swtpm_localca tpm2 curl jq openssl xxd; do
    command -v $tool >/dev/null || { echo "demo.sh: $tool is missing: make deps brings it" >&2; exit 1; }
done
[ -x "$gatehouse" ] || { echo "demo.sh: $gatehouse is missing: make builds it" >&2; exit 1; }

# --- the story ---------------------------------------------------------------------------------------

model=acme-edge9
selection=0,1,2,3,4,5,6,7,8,9,14

chapter 'A gateway and its operators'

step 'A vendor makes a TPM, with an endorsement key and a certificate that says so.'
must vendor_new acme
must device_new edge-1 acme
must device_new edge-2 acme
ran 'swtpm_setup --tpm2 --create-ek-cert ...'
fact "$(openssl x509 -in "$work/acme/issuercert.pem" -noout -subject | sed 's/^/its authority: /')"

step "The gateway is made: two authorities, a server certificate, one operator, one proxy; it trusts that vendor."
must gateway_init acme
ran "gatehouse init $gateway --listen 127.0.0.1:0 --ek-trust acme.pem"

step 'It serves: five planes, each with its own listener and its own answer to who may connect.'
must gateway_start
ran "gatehouse serve --config $gateway/gatehouse.ini"
while read -r plane port; do fact "$plane: port $port"; done <"$work/ports"
call public - GET /readyz
expect 200

step 'The operator makes a model: who may enrol, how long a credential lives. New devices have to be approved.'
jq -n --arg name $model '{name: $name, description: "Acme Edge9 gateways", credential_lifetime_s: 3600, enrolment: "approval"}' \
    >"$work/body"
call admin admin POST /v1/models "$work/body"
expect 201

step 'The device boots. Firmware, shim, GRUB, kernel and command line measure themselves into its TPM.'
must device_boot edge-1
ran 'tpm2 pcrextend 0:sha256=... 7:sha256=... 4:sha256=...'
fact "$(wc -l <"$work/edge-1/extends") measurements, an event log of $(wc -c <"$work/edge-1/log") bytes"

step 'That boot is known to be good. One operator submits its parts as the baseline: firmware, Secure Boot keys, shim, GRUB, kernel, command line and initrd. Another approves it and puts it in force.'
must gateway_operator author author
must gateway_operator approver approver
must device_pcrs edge-1 $selection >"$work/pcrs.json"
must "$gatehouse" inspect "$work/edge-1/log" >"$work/boot.json"
jq --arg model $model --slurpfile pcrs "$work/pcrs.json" -f "$demo/baseline.jq" "$work/boot.json" >"$work/body"
ran 'gatehouse inspect binary_bios_measurements | jq -f baseline.jq'
fact "$(jq -r '.boot_chain | map("\(.name) \(.any_of[0].label)") | "runs, in this order: " + join(", ")' "$work/body")"
fact "$(jq -r '"command line: " + .kernel_command_line.any_of[0]' "$work/body")"
call admin author POST /v1/models/$model/baselines "$work/body"
expect 201
baseline=$(field .id)
call admin author POST "/v1/baselines/$baseline/submit" "$work/empty"
expect 200
call admin author POST "/v1/baselines/$baseline/approve" "$work/empty"
expect 403 forbidden
for action in approve activate; do
    call admin approver POST "/v1/baselines/$baseline/$action" "$work/empty"
    expect 200
done

chapter 'A device earns a credential'

step 'The device enrols: it shows EK, EK certificate, AK and a certificate request, and its TPM opens what only it can open.'
must device_configures edge-1 $model 'credential_key = file' # for curl, which shows it to a proxy below
client edge-1 enrol
client_ends 5 '^pending_approval: '
id=$(sed -n 's/^pending_approval: device //p' "$said")

step 'That ties AK and EK together; whether the device belongs to the fleet, an operator says.'
call admin admin POST "/v1/devices/$id/approve" "$work/empty"
expect 200
client edge-1 enrol
client_ends 0 "^enrolled: device $id"
must device_takes_over edge-1
fact "$(openssl x509 -in "$work/edge-1.pem" -noout -ext subjectAltName | sed -n 's/^ *//;2p')"

step 'Who it is says nothing of what it runs: the proxy is told to keep it out.'
expect_decision edge-1 'deny not_appraised'

step 'The device asks for a nonce, and answers with a quote over it and its event log: it is trusted.'
client edge-1 attest
client_ends 0 '^trusted: '
serial=$(device_client edge-1 status --json | jq -r .credential.serial)
fact "$(openssl x509 -in "$work/edge-1/state/credential/certificate.pem" -noout -ext subjectAltName | sed -n 's/^ *//;2p')"

step 'The proxy asks again: the device may pass.'
expect_decision edge-1 'allow trusted'

guard=''
if proxy_program nginx >/dev/null; then
    step 'A web server guards a page: nginx, as the gateway configures it. It asks about each request, and tells the page who comes.'
    must application_start
    must proxy_registered nginx nginx
    guard=$(free_port)
    # shellcheck disable=SC2046 # words
    proxy_config nginx "$guard" $(proxy_identity nginx) >"$work/nginx.conf"
    ran 'gatehouse proxy-config --kind nginx --gateway https://localhost:8443 --server-name localhost ... >nginx.conf'
    must proxy_start nginx "$guard" "$work/nginx.conf"
    page 200
    grep '^X-Device-' "$answer" | while IFS= read -r line; do fact "$line"; done
else
    fact 'there is no nginx here to guard a page: make deps brings it'
fi

chapter 'Altered code runs on the device'

step 'An implant is loaded, and the firmware measured it. The device leaves that out of its log: nothing can be proven.'
implant='\EFI\BOOT\implant.efi'
told_kernel="kernel_cmdline: $(jq -r '.facts.os.command_lines[0] | "\(.image) \(.text)"' "$work/boot.json") module.sig_enforce=0"
must device_runs edge-1 4 EV_EFI_BOOT_SERVICES_APPLICATION "$implant" hidden
must device_runs edge-1 8 EV_IPL "$told_kernel" hidden
ran 'tpm2 pcrextend 4:sha256=... 8:sha256=...'
client edge-1 attest
client_ends 8 '(log_does_not_replay)'
fact 'its standing stays as it was, until its lease ends; no new credential'

step 'It tells the truth instead: refused, with the findings; every credential that it has is revoked.'
sh "$demo/bootlog.sh" add "$work/edge-1/log" 4 EV_EFI_BOOT_SERVICES_APPLICATION "$implant" >/dev/null
sh "$demo/bootlog.sh" add "$work/edge-1/log" 8 EV_IPL "$told_kernel" >/dev/null
client edge-1 attest
client_ends 3 '(untrusted)'
appraisal=$(sed -n 's/.*for the operator: //p' "$said")

step 'The operator sees what changed, and what to do about it.'
call admin admin GET "/v1/appraisals/$appraisal"
expect 200
[ "$(field '[.findings[] | select(.severity == "deny") | "\(.code) \(.pcr)"] | join(", ")')" = 'image_unexpected 4, command_line_not_allowed 8' ] ||
    fail "other findings than the implant and the command line: $(field .findings)"
field '.findings[] | select(.severity == "deny") | "\(.rule): \(.remediation)"' | fold -s -w 90 |
    while IFS= read -r line; do fact "$line"; done

step 'The credential is revoked, and the proxy is told to keep the device out.'
call admin admin GET "/v1/credentials?device_id=$id"
expect 200
[ "$(field ".items[] | select(.serial == \"$serial\") | .revoked_at != null")" = true ] || fail "not revoked: $(cat "$answer")"
expect_decision edge-1 'deny untrusted'

if [ -n "$guard" ]; then
    step 'nginx closes, with the very next request.'
    page 403
fi

chapter 'What does not help'

step 'A second device, announced by its EK certificate, needs no approval. It enrols and attests, request by request.'
must device_boot edge-2
must device_keys edge-2
jq -n --arg model $model --arg cert "$(b64 "$work/edge-2/ek.der")" '{model: $model, ek_certificate: $cert, note: "rack 4"}' >"$work/body"
call admin admin POST /v1/devices "$work/body"
expect 201
device_enrolment edge-2 $model >"$work/body"
call enrol - POST /v1/enrollments "$work/body"
expect 201
enrollment=$(field .enrollment_id)
must device_activates edge-2 <"$answer" >"$work/body"
call enrol - POST "/v1/enrollments/$enrollment/activate" "$work/body"
expect 200
device_keeps_identity edge-2
must device_attests edge-2
expect 201
cp "$work/edge-2/evidence.json" "$work/good.json"

step 'Sending that good evidence once more: its nonce is used up.'
call device edge-2 POST /v1/evidence "$work/good.json"
expect 409 nonce_used

step 'The good quote under a new nonce: the TPM signed another one.'
call device edge-2 POST /v1/challenges "$work/empty"
jq --arg nonce "$(field .nonce)" '.nonce = $nonce' "$work/good.json" >"$work/body"
call device edge-2 POST /v1/evidence "$work/body"
expect 422 nonce_mismatch

step "Another device's nonce: it was not given to this one."
call device edge-1 POST /v1/challenges "$work/empty"
expect 201
must device_evidence edge-2 <"$answer" >"$work/body"
call device edge-2 POST /v1/evidence "$work/body"
expect 409 nonce_unknown

step "A stranger's certificate: no connection, on any plane."
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj "/CN=$id" \
    -keyout "$work/stranger.key" -out "$work/stranger.pem" 2>/dev/null
for plane in device proxy admin; do
    call $plane stranger GET /v1/self
    [ "$status" = 000 ] || fail "a stranger got the answer $status from the $plane plane"
    fact "$called: refused in the handshake"
done

chapter 'And back'

step 'The device is repaired and boots clean: it is trusted again, with a new credential.'
must device_power_off edge-1
must device_boot edge-1
client edge-1 renew
client_ends 0 '^trusted: '
expect_decision edge-1 'allow trusted'
[ -z "$guard" ] || page 200

step 'Every change has its entry in the audit log.'
call admin admin GET '/v1/audit?limit=1000'
expect 200
field '.items[] | .action' | sort | uniq -c | while read -r count action; do fact "$action ($count)"; done

step 'Each entry holds the hash of the one before: the log is whole, and an entry that is edited is named.'
must "$gatehouse" audit export --store "$work/gateway/gatehouse.db" --out "$work/audit.ndjson"
ran 'gatehouse audit verify audit.ndjson'
verified=$("$gatehouse" audit verify "$work/audit.ndjson") || fail 'the audit log does not verify'
fact "$(printf '%s' "$verified" | jq -r '"whole: \(.entries) entries, the last hash \(.last_hash)"')"
sed 's/"action":"device.approve"/"action":"device.retire"/' "$work/audit.ndjson" >"$work/edited.ndjson"
ran "sed 's/device.approve/device.retire/' audit.ndjson | gatehouse audit verify -"
if "$gatehouse" audit verify "$work/edited.ndjson" >/dev/null 2>"$work/broken"; then fail 'an edited audit log verifies'; fi
fact "$(sed 's/.*edited.ndjson: //' "$work/broken" | tail -n 1)"

printf '\n%sDone: %d steps, each did what it says.%s\n' "$green" $number "$plain"

if [ -n "${KEEP-}" ]; then
    trap - EXIT HUP INT TERM
    cat <<END

Everything is still running; work folder $work
  the device attests once more:
    $demo/../device/gatehouse-device --config $work/edge-1/client.conf attest
  it asks for its standing:
    curl --cacert $work/server-ca.pem --cert $work/edge-1.pem --key $work/edge-1.key https://127.0.0.1:$(port_of device)/v1/self
  the proxy asks for a decision:
    curl --cacert $work/server-ca.pem --cert $work/proxy.pem --key $work/proxy.key https://127.0.0.1:$(port_of proxy)/v1/decisions/$id
  the operator reads:
    curl --cacert $work/server-ca.pem --cert $work/admin.pem --key $work/admin.key https://127.0.0.1:$(port_of admin)/v1/devices
  the device's TPM:
    TPM2TOOLS_TCTI=swtpm:path=$work/edge-1/s tpm2 pcrread
  the end:
    kill$started; rm -rf $work
END
fi
