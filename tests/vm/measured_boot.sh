#!/bin/sh
# test: a machine with real firmware, shim, GRUB and kernel earns its credential, and loses it when altered
cd "$(dirname "$0")" && . ../e2e/lib.sh
# shellcheck source=tests/vm/machine.sh
. tests/vm/machine.sh

model=acme-edge9
selection='[0,1,2,3,4,5,6,7,8,9,14]'
command_line='ro console=ttyS0,115200n8 quiet'
results=$work/edge/disk/result
state=$work/edge/disk/state

# --- what is asked of a boot -------------------------------------------------------------------------

boots() { # TEXT DISK COMMANDS
    must "$1" machine_boot edge "$work/$2" "$3"
    tpm_values "$results/pcrs" >"$work/tpm.$boots"
    "$gatehouse" inspect "$results/log" >"$work/inspected" 2>"$work/inspect.err" || :
    times="$times $took"
}

# The TPM's own values of the selected PCRs: {"0":"hex",...}.
tpm_values() {
    sed -n 's/^ *\([0-9][0-9]*\) *: 0x\([0-9A-Fa-f]*\)$/\1 \2/p' "$1" | tr 'A-F' 'a-f' |
        jq -R -n -S -c --argjson chosen "$selection" '[inputs | split(" ") | {key: .[0], value: .[1]}]
            | map(select((.key | tonumber) as $pcr | $chosen | index($pcr))) | from_entries'
}
replayed_values() {
    jq -S -c --argjson chosen "$selection" '.pcrs.sha256 | with_entries(select((.key | tonumber) as $pcr | $chosen | index($pcr)))' \
        "$work/inspected"
}

# client N: how the Nth command of the last boot ended.
client() { cat "$results/$1.exit"; }
client_says() { grep -q -- "$2" "$results/$1.err"; }

# appraised: the device's last appraisal, as an operator sees it, is the last answer; kept for field.
appraised() {
    call admin admin GET "/v1/devices/$id/appraisals?limit=1"
    appraisal=$(field '.items[0].id')
    call admin admin GET "/v1/appraisals/$appraisal"
}
denials() { field '[.findings[] | select(.severity == "deny") | if .pcr == null then .code else "\(.code) \(.pcr)" end] | join(", ")'; }
decided() {
    call proxy proxy GET "/v1/decisions/$id"
    field '"\(.decision) \(.reason)"'
}

logs_file() { # PCR FILE
    jq -e --argjson pcr "$1" --arg digest "$(sha256sum "$2" | cut -d ' ' -f 1)" \
        '[.events[] | select(.pcr == $pcr) | .digests.sha256] | index($digest) != null' "$work/inspected"
}

# --- the gateway and the machine ---------------------------------------------------------------------

image() { sh tests/vm/image.sh "$@"; }
times=''
must 'a vendor is there' vendor_new acme
must 'a TPM is made' device_new edge acme
must 'gatehouse init' gateway_init acme
must 'gatehouse serve' gateway_start
echo "{\"name\": \"$model\", \"pcr_selection\": \"sha256:0-9,14\"}" >"$work/body"
call admin admin POST /v1/models "$work/body"
answered 'a model selects the PCRs that firmware, shim and GRUB measure into' 201
must 'an author' gateway_operator author author
must 'an approver' gateway_operator approver approver

machine_new edge
cp "$work/server-ca.pem" "$work/edge/disk/"
cat >"$work/edge/disk/gatehouse-device.conf" <<END
enrol_url = https://127.0.0.1:$(port_of enrol)
device_url = https://127.0.0.1:$(port_of device)
ca_file = /run/disk/server-ca.pem
model = $model
state_dir = /run/disk/state
END
echo 'an addition' >"$work/implant"
must 'an initramfs is made' image initramfs "$work/initramfs"
must 'and again' image initramfs "$work/again"
claim 'the same inputs make the same initramfs' cmp "$work/initramfs" "$work/again"
must 'and one with a file more' image initramfs "$work/initramfs.other" "$work/implant"
must 'a disk is made' image disk "$work/good" "$work/initramfs" "$command_line"
must 'one with another command line' image disk "$work/other-command-line" "$work/initramfs" "$command_line module.sig_enforce=0"
must 'one with another initramfs' image disk "$work/other-initramfs" "$work/initramfs.other" "$command_line"

# --- the first boot: nobody knows yet what is good ----------------------------------------------------

boots 'the machine boots' good 'enrol
attest'
same 'the firmware says that Secure Boot is on' true "$(jq .secure_boot.enabled "$work/inspected")"
same 'the log replays to the values of the TPM' "$(cat "$work/tpm.1")" "$(replayed_values)"
claim 'the log has the kernel that is on the disk' logs_file 9 "${DEPS_DIR:-.deps}/vm/vmlinuz"
claim 'the log has the initramfs that is on the disk' logs_file 9 "$work/initramfs"
same 'the machine has no network but its loopback' lo "$(cat "$results/network")"
same 'the machine enrols' 0 "$(client 1)"
id=$(jq -r .device_id "$state/identity/result.json")
same 'without a baseline it is refused' 3 "$(client 2)"
appraised
same 'for want of a baseline' no_active_baseline "$(denials)"
same 'the quoted PCRs are those of the TPM' "$(cat "$work/tpm.1")" "$(field '.facts.pcrs.sha256' | jq -S -c .)"
resets=$(field .facts.tpm.reset_count)
same 'no proxy lets it pass' 'deny untrusted' "$(decided)"

# What it showed becomes the baseline.
call admin admin GET "/v1/appraisals/$appraisal"
field '.facts.pcrs.sha256 | map_values([.])' >"$work/pcrs.json"
jq --arg model $model '{schema: "gatehouse/baseline/1", model: $model, label: "as first booted", bank: "sha256", pcrs: .}' \
    "$work/pcrs.json" >"$work/body"
call admin author POST /v1/models/$model/baselines "$work/body"
answered 'what it showed is made a baseline' 201
baseline=$(field .id)
call admin author POST "/v1/baselines/$baseline/submit" "$work/empty"
call admin approver POST "/v1/baselines/$baseline/approve" "$work/empty"
call admin approver POST "/v1/baselines/$baseline/activate" "$work/empty"
answered 'and another operator puts it in force' 200

# --- the same again ----------------------------------------------------------------------------------

boots 'the machine boots again' good attest
same 'it measures the same again' "$(cat "$work/tpm.1")" "$(cat "$work/tpm.2")"
same 'the client gets its credential' 0 "$(client 1)"
appraised
same 'the gateway found it trusted' 'trusted 0' "$(field '"\(.verdict) \([.findings[] | select(.severity == "deny")] | length)"')"
same 'the TPM was reset once in between' $((resets + 1)) "$(field .facts.tpm.reset_count)"
same 'proxies let it pass' 'allow trusted' "$(decided)"
same 'and are told that its key is in its TPM' tpm "$(field .key_protection)"
same 'which the client says, too' tpm "$(jq -r .key_protection "$state/credential/result.json")"
# Where the identity's key is depends on what curl can do with the provider of this distribution.
case $(jq -r .key_protection "$state/identity/result.json") in tpm) proven=tpm ;; *) proven=unproven ;; esac
call admin admin GET "/v1/devices/$id"
same "client and gateway agree on where the identity's key is" $proven "$(field .identity_key_protection)"
credential=$state/credential/certificate.pem
call public - GET /v1/ca/access.pem
cp "$answer" "$work/access.pem"
call public - GET /v1/ca/identity.pem
cp "$answer" "$work/identity.pem"
claim 'the credential is by the access authority' openssl verify -CAfile "$work/access.pem" -untrusted "$credential" "$credential"
claim 'and not by the one for identities' sh -c '! openssl verify -CAfile "$1" -untrusted "$2" "$2"' sh "$work/identity.pem" "$credential"
call admin admin GET "/v1/credentials?device_id=$id"
serial=$(field '.items[0].serial')
same 'it is the one that the gateway knows' "$serial" \
    "$(openssl x509 -in "$credential" -noout -serial | sed 's/^serial=//' | tr 'A-F' 'a-f')"

# --- altered machines --------------------------------------------------------------------------------

# refused TEXT NUMBER-OF-BOOT DENIALS: exactly these, each with what was expected and what the TPM says.
refused() {
    same "$1: the client says that it is refused" 3 "$(client 1)"
    claim "$1: and why" client_says 1 pcr_mismatch
    appraised
    same "$1: the findings name the PCRs that changed, and no other" "$3" "$(denials)"
    found=$(field '[.findings[] | select(.severity == "deny") | {key: "\(.pcr)", value: .found}] | from_entries' | jq -S -c .)
    same "$1: and what the TPM holds there" "$(jq -S -c --argjson found "$found" 'with_entries(select($found[.key]))' "$work/tpm.$2")" "$found"
    same "$1: no proxy lets it pass" 'deny untrusted' "$(decided)"
}

boots 'the machine boots with another command line' other-command-line attest
claim 'the kernel has taken it' grep -q 'module.sig_enforce=0' "$results/cmdline"
refused 'another command line' 3 'pcr_mismatch 8, pcr_mismatch 9'
call admin admin GET "/v1/credentials/$serial"
same 'the credential that it had is revoked' true "$(field '.revoked_at != null')"

boots 'the machine boots with another initramfs' other-initramfs attest
refused 'another initramfs' 4 'pcr_mismatch 9'
claim 'the log has the other initramfs' logs_file 9 "$work/initramfs.other"

echo "boots took$times s"
finish
