#!/bin/sh
# test: the device client enrols, attests and renews in every shell, and says what is wrong
cd "$(dirname "$0")" && . ./lib.sh

must 'a vendor is there' vendor_new acme
for device in edge other; do
    must "$device is made" device_new $device acme
    must "$device boots" device_boot $device
done
must 'gatehouse init' gateway_init acme
export GATEHOUSE_ENROLMENT_PENDING_PER_IP=1000 GATEHOUSE_ENROLMENT_PER_IP_PER_MINUTE=100000
must 'gatehouse serve' gateway_start
must 'a model and its baseline' gateway_model acme-edge9 edge

state=$work/edge/state
configure() { device_configures edge acme-edge9 'tries = 2' 'backoff = 0' 'credential_key = file' 'identity_key = file' "$@"; }

# ends TEXT CODE COMMAND...: how the client ends; what it says is in $work/said, one stream after the other.
ends() {
    ends_text=$1 ends_code=$2
    shift 2
    device_client edge "$@" >"$work/said.out" 2>"$work/said.err" </dev/null
    ended_with=$?
    cat "$work/said.out" "$work/said.err" >"$work/said"
    if [ $ended_with -eq "$ends_code" ]; then ok "$ends_text"; else not_ok "$ends_text" "wanted $ends_code, got $ended_with" "$(tail -n 5 "$work/said")"; fi
}
says() { claim "$1" grep -qi -e "$2" "$work/said"; }
is_pair() { # DIRECTORY
    [ "$(openssl x509 -in "$1/certificate.pem" -noout -pubkey)" = "$(openssl pkey -in "$1/key.pem" -pubout)" ]
}

# --- every shell ---------------------------------------------------------------------------------------

configure
for client_shell in dash 'busybox sh' bash; do
    if ! command -v "${client_shell%% *}" >/dev/null; then
        skip "$client_shell runs the client" 'it is not installed'
        continue
    fi
    rm -rf "$state"
    # A TPM is enrolled once: a new one for each shell.
    device_power_off edge
    rm -rf "$work/edge"
    must "a TPM for $client_shell" device_new edge acme
    must 'boots' device_boot edge
    configure
    ends "$client_shell: before, there is nothing" 4 status
    ends "$client_shell: nothing to attest with" 4 attest
    says "$client_shell: it says what to do" "gatehouse-device enrol"
    ends "$client_shell: prints the digest of its EK" 0 ek
    ek=$(cat "$work/said.out")
    ends "$client_shell: enrols" 0 enrol
    ends "$client_shell: enrolled is not enough" 6 status
    ends "$client_shell: attests" 0 attest
    says "$client_shell: it is trusted" '^trusted: credential [0-9a-f]* until .*, key_protection: file$'
    ends "$client_shell: status" 0 status
    claim "$client_shell: key and certificate are a pair" is_pair "$state/credential"
    device_client edge status --json >"$work/json"
    same "$client_shell: the same for machines" 'trusted file file true' \
        "$(jq -r '"\(.state) \(.identity.key_protection) \(.credential.key_protection) \(.credential.valid)"' "$work/json")"
done
unset client_shell
same 'the id of a device is what its EK digest begins with' "$(printf '%.32s' "$ek")" "$(jq -r .device_id "$work/json")"
device_client edge ek --json >"$work/ek.json"
same 'as JSON it is a registration' "acme-edge9 $ek 2" "$(jq -r '"\(.model) \(.ek_sha256) \(length)"' "$work/ek.json")"
ends '--json does not go with attest' 2 attest --json

jq -r .device_id "$work/json" >"$work/edge/id"
same 'the gateway thinks so too' 'allow trusted' "$(decision edge)"

# --- again, and again ----------------------------------------------------------------------------------

before=$(readlink "$state/identity")
ends 'who is enrolled enrols again: nothing happens' 0 enrol
same 'the identity is the same' "$before" "$(readlink "$state/identity")"
ends 'it can be made to' 0 enrol --again
claim 'and has another' test "$before" != "$(readlink "$state/identity")"
claim 'a pair' is_pair "$state/identity"
ends 'the credential of before is void' 6 status
ends 'so it is renewed' 0 renew
before=$(readlink "$state/credential")
ends 'a fresh credential is not renewed' 0 renew
same 'it stays' "$before" "$(readlink "$state/credential")"
cp "$state/credential/result.json" "$work/result.json"
jq '.renew_after = "2020-01-01T00:00:00Z"' "$work/result.json" >"$state/credential/result.json"
ends 'one that is due is' 0 renew
claim 'it is another' test "$before" != "$(readlink "$state/credential")"
claim 'the one before stays' test -s "$state/$before/key.pem"
ends 'and again' 0 attest
claim 'until the next' test ! -e "$state/$before"
openssl req -x509 -key "$state/credential/key.pem" -subj /CN=old -days -1 -out "$state/credential/certificate.pem" 2>/dev/null ||
    echo broken >"$state/credential/certificate.pem"
ends 'one that is not valid is renewed' 0 renew
claim 'by a pair' is_pair "$state/credential"

configure 'credential_key_renewal = keep'
key=$(cat "$state/credential/key.pem")
ends 'a key can be kept' 0 attest
same 'it is' "$key" "$(cat "$state/credential/key.pem")"
claim 'with a certificate of its own' is_pair "$state/credential"
configure
ends 'or be a new one' 0 attest
claim 'it is' test "$key" != "$(cat "$state/credential/key.pem")"
same 'files are their owner'"'s alone" '' "$(find "$state/" -type f ! -perm 600; find "$state/" -type d ! -perm 700)"

# --- no secret in anyone's argv, and no trace of work -------------------------------------------------------

mkdir "$work/bin"
for tool in curl jq openssl tpm2 od cat cp mv sync; do
    cat >"$work/bin/$tool" <<END
#!/bin/sh
printf '%s\n' "\$@" >>"$work/argv"
exec $(command -v $tool) "\$@"
END
    chmod +x "$work/bin/$tool"
done
rm -rf "$work/other/state"
device_configures other acme-edge9 'credential_key = file' 'identity_key = file'
other() { PATH=$work/bin:$PATH device_client other "$@"; }
claim 'another device enrols, watched' other enrol
claim 'and attests' other attest
claim 'the watch has seen it' grep -q activatecredential "$work/argv"
secrets() { # what only key files hold, and the files' lines
    cat "$work/other/state"/*/key.pem | grep -v -e '-----'
}
secrets >"$work/secrets"
claim 'there are keys' test -s "$work/secrets"
claim 'no key was in an argument' sh -c '! grep -F -f "$1" "$2"' sh "$work/secrets" "$work/argv"
claim 'nor the secret of the activation' sh -c '! grep -i -e "\"secret\"" -e "secret=" "$1"' sh "$work/argv"
same 'nothing of the work is left' '' "$(find "$work/other/state" -name 'work.*' -o -name '*.new' -o -name enrolment)"
same 'nor in the TPM' '' "$(tpm other getcap handles-transient; tpm other getcap handles-loaded-session; tpm other getcap handles-saved-session)"

# --- a verdict of untrusted ----------------------------------------------------------------------------

before=$(readlink "$state/credential")
must 'something else is loaded' device_runs edge 4 EV_EFI_BOOT_SERVICES_APPLICATION implant.efi
printf '#!/bin/sh\necho ran >>%s\n' "$work/hook.log" >"$work/hook"
chmod +x "$work/hook"
configure "hook = $work/hook"
ends 'what is not approved is untrusted' 3 attest
says 'it says why, in words' 'a PCR has a value that no baseline.*(pcr_mismatch)'
says 'and what to do' 'boot the approved software'
says 'and what to tell the operator' 'for the operator: [0-9a-f]'
same 'the files stay' "$before" "$(readlink "$state/credential")"
ends 'status says it' 3 status
same 'the gateway denies' 'deny untrusted' "$(decision edge)"
ends 'renew tries again' 3 renew
claim 'no hook is run' test ! -e "$work/hook.log"
device_power_off edge
must 'it boots what is approved' device_boot edge
ends 'and is trusted again' 0 renew
ends 'status says so' 0 status
same 'the hook ran once' ran "$(cat "$work/hook.log")"
ends 'nothing is due' 0 renew
same 'nor the hook' ran "$(cat "$work/hook.log")"

must 'something is measured and not logged' device_runs edge 4 EV_EFI_BOOT_SERVICES_APPLICATION implant.efi hidden
ends 'evidence that does not verify is refused' 8 attest
says 'with the reason' '(log_does_not_replay)'
ends 'it changes nothing' 0 status
device_power_off edge
must 'clean again' device_boot edge

# --- hooks ---------------------------------------------------------------------------------------------

configure "hook = $work/nowhere"
ends 'a hook that fails is told' 10 attest
says 'by name' "$work/nowhere failed"
configure "hook = $work/hook"
: >"$work/hook.log"
ends 'and run by the next, though nothing is due' 0 renew
same 'once' ran "$(cat "$work/hook.log")"
finish
