#!/bin/sh
# test: a device proves which files it used, sends only what is new, and is denied for one that was tampered with
cd "$(dirname "$0")" && . ./lib.sh

must 'a vendor is there' vendor_new acme
for device in edge other; do
    must "$device is made" device_new $device acme
    must "$device boots" device_boot $device
done
must 'gatehouse init' gateway_init acme
export GATEHOUSE_ENROLMENT_PENDING_PER_IP=1000 GATEHOUSE_ENROLMENT_PER_IP_PER_MINUTE=100000
must 'gatehouse serve' gateway_start

# What the kernel does: its log, and PCR 10 with it.
ima_boots() { # DEVICE
    device_pcrs "$1" 0,1,2,3,4,5,6,7,8,9 | jq -r '[range(10) as $i | .[$i | tostring][0]] | add' >"$work/$1/pcrs" &&
        tpm "$1" pcrextend "$(sh "$demo/imalog.sh" boot "$work/$1/ima" "$work/$1/pcrs")"
}
uses() { # DEVICE PATH CONTENTS
    tpm "$1" pcrextend "$(sh "$demo/imalog.sh" uses "$work/$1/ima" "$2" "$3")"
}
# listed PATH CONTENTS: as a baseline lists it.
listed() { jq -n --arg path "$1" --arg digest "sha256:$(printf %s "$2" | sha256sum | cut -d ' ' -f 1)" '{($path): [$digest]}'; }

must 'the kernel of edge measures' ima_boots edge
must 'the kernel of other measures' ima_boots other
jq -n '{name: "acme-edge9", pcr_selection: "sha256:0-10,14"}' >"$work/body"
call admin admin POST /v1/models "$work/body"
same 'a model that quotes PCR 10' 201 "$status"
must 'a second operator' gateway_operator second approver
device_pcrs edge 0,1,2,3,4,5,6,7,8,9,14 >"$work/pcrs.json"
{ listed /usr/bin/agent good; listed /usr/bin/tool fine; } | jq -s add >"$work/files.json"
jq --slurpfile files "$work/files.json" '{schema: "gatehouse/baseline/1", model: "acme-edge9", label: "files",
    bank: "sha256", pcrs: ., ima: {mode: "enforce", files: $files[0], ignore: ["/tmp/*"]}}' "$work/pcrs.json" >"$work/body"
call admin admin POST /v1/models/acme-edge9/baselines "$work/body"
same 'a baseline that lists files' 201 "$status"
id=$(field .id)
for step in admin/submit second/approve second/activate; do
    call admin "${step%/*}" POST "/v1/baselines/$id/${step#*/}" "$work/empty"
done
same 'it is in force' 200 "$status"

for device in edge other; do
    device_configures $device acme-edge9 'tries = 2' 'backoff = 0' 'credential_key = file' 'identity_key = file' \
        "ima_log = $work/$device/ima"
    must "$device enrols" device_client $device enrol >"$work/said" 2>&1
done

# attests TEXT CODE DEVICE: how it ends.
attests() {
    device_client "$3" attest >"$work/said" 2>&1 </dev/null
    same "$1" "$2" $?
}
id_of() { jq -r .device_id "$work/$1/state/identity/result.json"; }
# findings DEVICE: codes and what was found, of its latest appraisal.
findings() {
    call admin admin GET "/v1/devices/$(id_of "$1")/appraisals?limit=1"
    call admin admin GET "/v1/appraisals/$(field '.items[0].id')"
    field '[.findings[] | select(.severity == "deny") | "\(.code) \(.found)"] | join("; ")'
}

# --- whole, then in parts ------------------------------------------------------------------------------

uses edge /usr/bin/agent good
attests 'listed files are trusted' 0 edge
uses edge /usr/bin/tool fine
uses edge /tmp/scratch whatever
attests 'so is what is new' 0 edge
attests 'and nothing new' 0 edge
uses other /usr/bin/tool fine
attests 'another device has a log of its own' 0 other
# Where the confirmed part is gone, only what is new can have been sent.
cp "$work/other/ima" "$work/other/ima.whole"
dd if=/dev/zero of="$work/other/ima" bs=1 count="$(wc -c <"$work/other/ima.whole")" conv=notrunc 2>/dev/null
uses other /usr/bin/agent good
attests 'it sends what is new alone' 0 other

# --- tampered ------------------------------------------------------------------------------------------

uses edge /usr/bin/agent evil
attests 'a tampered file is refused' 3 edge
same 'the finding names it' "ima_digest_mismatch /usr/bin/agent sha256:$(printf evil | sha256sum | cut -d ' ' -f 1)" "$(findings edge)"
uses edge /usr/bin/tool fine
attests 'what came before is not forgotten' 3 edge
findings edge >"$work/found"
claim 'the finding still names it' grep -q 'ima_digest_mismatch /usr/bin/agent sha256:' "$work/found"
uses other /opt/unknown whatever
attests 'a file that nothing lists is refused' 3 other
same 'by its name' "ima_file_unlisted /opt/unknown sha256:$(printf whatever | sha256sum | cut -d ' ' -f 1)" "$(findings other)"

# --- another boot --------------------------------------------------------------------------------------

device_power_off edge
must 'edge boots again' device_boot edge
must 'its kernel measures anew' ima_boots edge
for _ in 1 2 3 4 5 6 7 8; do uses edge /usr/bin/agent good; done
attests 'the whole log is sent when the boot is another' 0 edge

finish
