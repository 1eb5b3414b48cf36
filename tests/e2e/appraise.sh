#!/bin/sh
# test: gatehouse appraise and inspect, over a simulated device's boot and over recorded real ones
cd "$(dirname "$0")" && . ./lib.sh

# evidence SET KEY: what the recorded device would send, signed with its ecc or rsa key.
evidence() {
    set_dir=$data/measured-boot/$1
    for file in binary_bios_measurements ima_binary_runtime_measurements; do
        if [ -e "$set_dir/$file" ]; then b64 "$set_dir/$file"; fi >"$work/$file.b64"
    done
    jq -n --arg nonce "$(xxd -r -p "$set_dir/nonce.hex" | base64 -w 0)" --arg quote "$(b64 "$set_dir/quote_$2.msg")" \
        --arg signature "$(b64 "$set_dir/quote_$2.sig")" --rawfile log "$work/binary_bios_measurements.b64" \
        --rawfile ima "$work/ima_binary_runtime_measurements.b64" \
        --slurpfile manifest "$set_dir/MANIFEST.json" '
        {nonce: $nonce, tpm2: {quote: $quote, signature: $signature}}
        + (if $log != "" then {tcg_event_log: $log} else {} end)
        + (if $ima != "" then {ima_log: $ima} else {} end)
        | if $log == "" then .tpm2.pcrs = $manifest[0].expected.pcrs else . end'
}

# appraise BASELINE EVIDENCE AK NONCE [--pcrs ...] -> $status, $work/verdict
appraise() {
    baseline=$1 body=$2 ak=$3 nonce=$4
    shift 4
    "$gatehouse" appraise --baseline "$baseline" --evidence "$body" --ak "$ak" --nonce "$nonce" "$@" \
        >"$work/verdict" 2>"$work/verdict.err"
    status=$?
}

verdict() {
    jq -r '[.verdict, .failure // empty, ([.findings[] | select(.severity == "deny") | "\(.code):\(.pcr)"] | join(","))]
           | map(select(. != "")) | join(" ")' "$work/verdict"
}

# --- a boot of our own -------------------------------------------------------------------------------

nonce=$(printf %064d 1)
all=sha256:0,1,2,3,4,5,6,7,8,9,14
vendor_new acme
must 'a TPM is made' device_new edge acme
must 'it boots' device_boot edge
must 'it makes keys' device_keys edge
device_pcrs edge 0,1,2,3,4,5,6,7,8,9,14 |
    jq '{schema: "gatehouse/baseline/1", model: "edge9", label: "own", bank: "sha256", pcrs: .}' >"$work/baseline.json"

# own [NONCE]: a quote now.
own() {
    jq -n --arg nonce "$(echo "${1:-$nonce}" | xxd -r -p | base64 -w 0)" \
        '{nonce: $nonce, pcr_selection: {sha256: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14]}}' |
        device_evidence edge >"$work/edge/evidence.json"
}
own_verdict() {
    appraise "$work/baseline.json" "$work/edge/evidence.json" "$work/edge/ak.pub" "$nonce" --pcrs $all
    echo "$status $(verdict)"
}

own
same 'a boot that meets its baseline is trusted' '0 trusted' "$(own_verdict)"
claim 'the log inspects, and replays to the PCRs of the TPM' sh -c '
    "$1" inspect "$2/edge/log" >"$2/inspected" && jq -e --slurpfile b "$2/baseline.json" \
    ".pcrs.sha256 as \$found | \$b[0].pcrs | to_entries | all(\$found[.key] == .value[0])" "$2/inspected"' sh "$gatehouse" "$work"
claim 'inspect knows the Secure Boot state' jq -e '.secure_boot | tostring | test("true")' "$work/inspected"
own "$(printf %064d 2)"
same 'a quote over another nonce does not verify' '3 untrusted nonce_mismatch' "$(own_verdict)"
own
jq '.csr as $c | .tpm2.quote |= sub("^.";"A")' "$work/edge/evidence.json" >"$work/changed.json"
appraise "$work/baseline.json" "$work/changed.json" "$work/edge/ak.pub" "$nonce"
claim 'a quote that was changed is refused' [ "$status" -ne 0 ]
must 'another key is made' device_ak edge
appraise "$work/baseline.json" "$work/edge/evidence.json" "$work/edge/ak.pub" "$nonce"
same 'another AK does not verify it' '3 untrusted quote_signature_invalid' "$status $(verdict)"
own
appraise "$work/baseline.json" "$work/edge/evidence.json" "$work/edge/ak.pub" "$nonce" --pcrs sha256:0,1
same 'another selection than the one asked for is refused' '3 untrusted pcr_selection_mismatch' "$status $(verdict)"
device_runs edge 4 EV_EFI_BOOT_SERVICES_APPLICATION 'implant.efi' hidden
own
same 'an extend that the log hides makes it not replay' '3 untrusted log_does_not_replay' "$(own_verdict)"
sh "$demo/bootlog.sh" add "$work/edge/log" 4 EV_EFI_BOOT_SERVICES_APPLICATION 'implant.efi' >/dev/null
device_runs edge 8 EV_IPL 'module.sig_enforce=0'
own
same 'an altered boot is untrusted for exactly the PCRs it touched' '3 untrusted pcr_mismatch:4,pcr_mismatch:8' "$(own_verdict)"
claim 'each finding says what was expected and what was found' jq -e --slurpfile b "$work/baseline.json" '
    [.findings[] | select(.severity == "deny")] | length == 2 and all(
        ($b[0].pcrs[.pcr | tostring][0]) as $good
        | (.expected | contains($good)) and (.found | test("[0-9a-f]{64}")) and (.found | contains($good) | not)
          and (.remediation | length > 10))' "$work/verdict"

# --- input that cannot be used -----------------------------------------------------------------------

unusable() { # TEXT
    same "$1: exit 1, one line" '1 1 0' "$status $(wc -l <"$work/verdict.err") $(wc -c <"$work/verdict")"
}
jq '.extra = 1' "$work/edge/evidence.json" >"$work/changed.json"
appraise "$work/baseline.json" "$work/changed.json" "$work/edge/ak.pub" "$nonce"
unusable 'an unknown field in the evidence'
jq '.pcrz = {}' "$work/baseline.json" >"$work/changed.json"
appraise "$work/changed.json" "$work/edge/evidence.json" "$work/edge/ak.pub" "$nonce"
unusable 'an unknown field in the baseline'
jq '.tcg_event_log = "!!!!"' "$work/edge/evidence.json" >"$work/changed.json"
appraise "$work/baseline.json" "$work/changed.json" "$work/edge/ak.pub" "$nonce"
unusable 'evidence that is not base64'
head -c 500 "$work/edge/evidence.json" >"$work/changed.json"
appraise "$work/baseline.json" "$work/changed.json" "$work/edge/ak.pub" "$nonce"
unusable 'half a JSON document'
appraise "$work/nowhere" "$work/edge/evidence.json" "$work/edge/ak.pub" "$nonce"
unusable 'a file that is not there'
head -c 1000 "$work/edge/log" >"$work/half"
"$gatehouse" inspect "$work/half" >"$work/inspected" 2>"$work/inspected.err"
same 'inspect of half a log: exit 1, one line' '1 1' "$? $(wc -l <"$work/inspected.err")"
claim 'and it shows what came before' jq -e '.events | length > 3' "$work/inspected"
"$gatehouse" inspect - <"$work/edge/log" >"$work/inspected" 2>&1
same 'inspect reads standard input' 0 $?

# --- recorded boots ----------------------------------------------------------------------------------

if [ ! -d "$data/measured-boot" ]; then
    skip 'recorded boots get the verdicts they should' "no $data/measured-boot"
    finish
fi
jq '{schema: "gatehouse/baseline/1", model: "bootlab", label: "A1", bank: "sha256",
     pcrs: (.expected.pcrs.sha256 | del(."10", ."11", ."12", ."13", ."15") | map_values([.]))}' \
    "$data/measured-boot/A1-secureboot-good/MANIFEST.json" >"$work/recorded.json"

while read -r name wanted; do
    for key in ecc rsa; do
        dir=$data/measured-boot/$name
        if [ ! -d "$dir" ]; then
            skip "$name, $key key: $wanted" 'not among the data'
            continue
        fi
        evidence "$name" $key >"$work/recorded-evidence.json"
        appraise "$work/recorded.json" "$work/recorded-evidence.json" "$dir/ak_$key.tpm2b_public" "$(cat "$dir/nonce.hex")" \
            --pcrs sha256:0-15
        same "$name, $key key: $wanted" "$wanted" "$status $(verdict)"
    done
    [ -e "$dir/binary_bios_measurements" ] || continue
    "$gatehouse" inspect "$dir/binary_bios_measurements" >"$work/inspected" 2>&1
    claim "$name: its log replays to what the TPM quoted" jq -e --slurpfile m "$dir/MANIFEST.json" '
        .pcrs.sha256 | to_entries | length > 8 and all($m[0].expected.pcrs.sha256[.key] == .value)' "$work/inspected"
done <<END
A1-secureboot-good 0 trusted
A2-secureboot-good-reboot 0 trusted
F1-second-device 0 trusted
B1-secureboot-off 3 untrusted pcr_mismatch:0,pcr_mismatch:4,pcr_mismatch:7
C-cmdline-changed 3 untrusted pcr_mismatch:8,pcr_mismatch:9
D1-kernel-generic 3 untrusted pcr_mismatch:4,pcr_mismatch:8,pcr_mismatch:9
E1-own-test-pk 3 untrusted pcr_mismatch:0,pcr_mismatch:7
END

# Pieces of one boot do not pass with those of another.
mixed() { # TEXT FIELD WANTED: C's evidence with A1's field
    evidence A1-secureboot-good ecc >"$work/a1.json"
    evidence C-cmdline-changed ecc |
        jq --slurpfile a "$work/a1.json" --arg path "$2" 'setpath($path / "."; $a[0] | getpath($path / "."))' >"$work/mixed.json"
    dir=$data/measured-boot/C-cmdline-changed
    appraise "$work/recorded.json" "$work/mixed.json" "$dir/ak_ecc.pem" "$(cat "$dir/nonce.hex")"
    same "$1" "$3" "$status $(verdict)"
}
if [ -d "$data/measured-boot/C-cmdline-changed" ]; then
    mixed "one boot's log with another's quote does not replay" tcg_event_log '3 untrusted log_does_not_replay'
    mixed "one quote's signature over another does not verify" tpm2.signature '3 untrusted quote_signature_invalid'
    mixed 'a quote of an earlier nonce is a replay' tpm2 '3 untrusted nonce_mismatch'
fi

# Logs of real machines and clouds.
bad='' num=0
for facts in "$data"/eventlogs/*.json; do
    jq -e '.format == "agile" and .error == null' "$facts" >/dev/null || continue
    "$gatehouse" inspect "${facts%.json}.bin" >"$work/inspected" 2>"$work/inspected.err" &&
        jq -e --slurpfile f "$facts" '.pcrs as $found | $f[0].pcrs | to_entries
            | all(.key as $bank | $found[$bank] == null or (.value | to_entries | all($found[$bank][.key] == .value)))' \
            "$work/inspected" >/dev/null || bad="$bad $(basename "$facts" .json)"
    num=$((num + 1))
done
same "$num logs of real machines replay as recorded" '' "$bad"
finish
