#!/bin/sh
# make.sh: makes everything below this folder anew, and the seeds of the fuzz targets of evidence: event logs by
# make_logs.c; quotes by a software TPM (swtpm, tpm2-tools) whose PCRs were extended with what a log says. Keys and nonces are new each
# time, so the files change; what they must lead to does not.
# shellcheck disable=SC2016 # the dollars are those of jq and perl
set -eu

cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build}
root=$PWD
out=$root/tests/vectors
dir=$(mktemp -d)
tpm=''

stop_tpm() {
    [ -z "$tpm" ] || { kill "$tpm" && wait "$tpm"; } 2>/dev/null || :
    tpm=''
}
trap 'stop_tpm; rm -rf "$dir"' EXIT
trap 'exit 130' HUP INT TERM

make -s all >"$dir/log" 2>&1 || { cat "$dir/log"; exit 1; }
gatehouse=$BUILD/gatehouse

# --- event logs --------------------------------------------------------------------------------------

rm -rf "$out/eventlog" "$out/tpm2"
mkdir -p "$out/eventlog/valid" "$out/eventlog/invalid" "$out/tpm2/valid" "$out/tpm2/invalid"
${CC:-cc} -std=c17 -D_GNU_SOURCE -I. "$out/make_logs.c" tests/unit/efi_builder.c tests/unit/evidence_builder.c -o "$dir/make_logs" \
    "$BUILD/libgatehouse.a" .deps/wolfssl/lib/libwolfssl.a -lm -lpthread
rm -rf tests/fuzz/seeds/event_data
mkdir -p tests/fuzz/seeds/event_data
"$dir/make_logs" "$out/eventlog" tests/fuzz/seeds/event_data

# --- a TPM -------------------------------------------------------------------------------------------

# start_tpm LOCALITY [HCRTM-DATA]: a new TPM, started at that locality, after a measurement by hardware if there is one.
start_tpm() {
    stop_tpm
    rm -rf "$dir/state" "$dir"/tpm*
    mkdir "$dir/state"
    swtpm socket --tpm2 --tpmstate dir="$dir/state" --server type=unixio,path="$dir/tpm" \
        --ctrl type=unixio,path="$dir/tpm.ctrl" --flags not-need-init >"$dir/swtpm.log" 2>&1 &
    tpm=$!
    export TPM2TOOLS_TCTI="swtpm:path=$dir/tpm"
    tries=50
    until [ -S "$dir/tpm.ctrl" ]; do
        tries=$((tries - 1))
        [ $tries -gt 0 ]
        sleep 0.1
    done
    swtpm_ioctl --unix "$dir/tpm.ctrl" -i
    [ -z "${2-}" ] || swtpm_ioctl --unix "$dir/tpm.ctrl" -h "$2"
    swtpm_ioctl --unix "$dir/tpm.ctrl" -l "$1"
    # TPM2_Startup(CLEAR), past the tools: they would choose locality 0 by themselves.
    printf '\200\001\0\0\0\014\0\0\001\104\0\0' | perl -MIO::Socket::UNIX -e '
        my ($tpm, $answer) = IO::Socket::UNIX->new($ARGV[0]) or die;
        $tpm->syswrite(join "", <STDIN>);
        $tpm->sysread($answer, 10) == 10 && substr($answer, 6) eq "\0\0\0\0" or die "TPM2_Startup failed\n"' "$dir/tpm"
    swtpm_ioctl --unix "$dir/tpm.ctrl" -l 0
    tpm2_createprimary -Q -C e -G ecc -c "$dir/parent.ctx"
    tpm2_flushcontext -t
}

# new_ak NAME ALGORITHM [ATTRIBUTES]
new_ak() {
    tpm2_createprimary -Q -C e -G "$2" -a "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|${3-restricted|}sign" \
        -c "$dir/$1.ctx"
    tpm2_readpublic -Q -c "$dir/$1.ctx" -o "$dir/$1.pub"
    tpm2_flushcontext -t
}

# extend_by LOG: what the firmware did, but for what the hardware had done before it.
extend_by() {
    "$gatehouse" inspect "$1" >"$dir/events"
    jq -r '.events[] | select(.type != "EV_NO_ACTION" and .type != "EV_EFI_HCRTM_EVENT")
        | "\(.pcr):" + ([.digests | to_entries[] | select(.key | startswith("sha")) | "\(.key)=\(.value)"] | join(","))' \
        "$dir/events" >"$dir/extends"
    xargs -n 40 tpm2_pcrextend <"$dir/extends"
}

b64() { base64 -w 0 "$1"; }

# vector KIND NAME AK SELECTION NOTE [LOG [FAILURE]]: quotes, and writes what a device would send.
vector() {
    nonce=$(head -c 32 /dev/urandom | xxd -p -c 64)
    case $3 in
    p384) scheme='ecdsa -g sha384' ;;
    rsassa) scheme='rsassa -g sha256' ;;
    rsapss) scheme='rsapss -g sha256' ;;
    rsapss384) scheme='rsapss -g sha384' ;;
    plain) scheme='rsassa -g sha1' ;;
    *) scheme='ecdsa -g sha256' ;;
    esac
    # shellcheck disable=SC2086 # words
    tpm2_quote -Q -c "$dir/$3.ctx" -l "$4" -q "$nonce" -m "$dir/msg" -s "$dir/sig" --scheme $scheme
    tpm2_flushcontext -t
    if [ -n "${6-}" ]; then b64 "$6" >"$dir/log64"; else : >"$dir/log64"; fi
    jq -n --arg note "$5" --arg ak "$(b64 "$dir/$3.pub")" --arg nonce "$nonce" --arg selection "$4" \
        --arg nonce64 "$(printf %s "$nonce" | xxd -r -p | base64 -w 0)" --arg quote "$(b64 "$dir/msg")" \
        --arg signature "$(b64 "$dir/sig")" --rawfile log "$dir/log64" --arg failure "${7-}" '
        {note: $note} + (if $failure != "" then {failure: $failure} else {} end)
        + {ak: $ak, nonce: $nonce, selection: $selection,
           evidence: ({nonce: $nonce64, tpm2: {quote: $quote, signature: $signature}}
                      + (if $log != "" then {tcg_event_log: $log} else {} end))}' >"$out/tpm2/$1/$2.json"
}

# claimed KIND NAME SELECTION: adds the PCR values that the TPM shows.
claimed() {
    tpm2_pcrread "$3" -o "$dir/values" >/dev/null
    values=$(xxd -p -c 32 "$dir/values" | jq -R . | jq -s .)
    indices=$(printf %s "${3#sha256:}" | tr , '\n' | jq -R . | jq -s .)
    jq --argjson v "$values" --argjson i "$indices" \
        '.evidence.tpm2.pcrs = {sha256: ([$i, $v] | transpose | map({(.[0]): .[1]}) | add)}' \
        "$out/tpm2/$1/$2.json" >"$dir/with"
    mv "$dir/with" "$out/tpm2/$1/$2.json"
}

# bent NAME FROM FAILURE NOTE JQ [JQ-ARGUMENTS]: a valid vector, spoilt.
bent() {
    name=$1 from=$2 failure=$3 note=$4 program=$5
    shift 5
    jq --arg note "$note" --arg failure "$failure" "$@" "$program | {note: \$note, failure: \$failure} + (del(.note))" \
        "$out/tpm2/valid/$from.json" >"$out/tpm2/invalid/$name.json"
}

boot=0,1,2,3,4,5,6,7,8,9,14
logs=$out/eventlog/valid

start_tpm 0
new_ak p256 ecc256:ecdsa-sha256:null
new_ak p384 ecc384:ecdsa-sha384:null
new_ak rsassa rsa2048:rsassa-sha256:null
new_ak rsapss rsa2048:rsapss-sha256:null
new_ak rsapss384 rsa3072:rsapss-sha384:null
new_ak plain rsa2048:null:null ''
extend_by "$logs/sha256-sha384.bin"
for ak in p256 p384 rsassa rsapss rsapss384; do
    vector valid "$ak" $ak sha256:$boot "a quote by an AK of kind $ak, with its log" "$logs/sha256-sha384.bin"
done
vector valid two-banks p256 sha256:$boot+sha384:$boot 'two banks quoted' "$logs/sha256-sha384.bin"
vector valid all-pcrs p256 sha256:0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23 \
    'every PCR quoted: those that the log does not touch are at reset' "$logs/sha256-sha384.bin"
vector valid values-no-log p256 sha256:$boot 'values and no log'
claimed valid values-no-log sha256:$boot
vector valid untouched p256 sha256:15,16,17,22,23 'neither log nor values: every PCR is at reset'
tpm2_pcrextend 23:sha256=1111111111111111111111111111111111111111111111111111111111111111
vector valid value-and-log p256 sha256:$boot,23 'one value that no log explains' "$logs/sha256-sha384.bin"
claimed valid value-and-log sha256:23
vector invalid value-missing p256 sha256:$boot,23 'a PCR that nothing explains' '' pcr_values_missing
vector invalid log-without-value p256 sha256:$boot,23 'a PCR that the log does not explain' "$logs/sha256-sha384.bin" \
    log_does_not_replay
vector invalid sha1-bank p256 sha1:16,15 'the SHA-1 bank alone' '' weak_pcr_bank
vector invalid sha1-signature plain sha256:16 'signed with SHA-1' '' quote_signature_unsupported
tpm2_certify -Q -C "$dir/p256.ctx" -c "$dir/p384.ctx" -g sha256 -o "$dir/certified" -s "$dir/certified.sig" -f tss \
    >"$dir/log" 2>&1 || { cat "$dir/log"; exit 1; }
tpm2_flushcontext -t

start_tpm 0
new_ak p256b ecc256:ecdsa-sha256:null
extend_by "$logs/two-banks.bin"
vector valid sha1-and-sha256 p256b sha1:$boot+sha256:$boot 'SHA-1 beside SHA-256' "$logs/two-banks.bin"
vector valid five-banks p256b sha256:$boot 'a log of five banks, of which one is quoted' "$logs/five-banks.bin"

start_tpm 3
new_ak p256c ecc256:ecdsa-sha256:null
extend_by "$logs/locality-3.bin"
vector valid locality-3 p256c sha256:0,4,7 'TPM2_Startup at locality 3' "$logs/locality-3.bin"

start_tpm 0 'measured by hardware'
new_ak p256d ecc256:ecdsa-sha256:null
extend_by "$logs/h-crtm.bin"
vector valid h-crtm p256d sha256:0,4,7 'measured by hardware before TPM2_Startup' "$logs/h-crtm.bin"

# --- spoilt ------------------------------------------------------------------------------------------

other_ak=$(jq -r .ak "$out/tpm2/valid/five-banks.json")
other_quote=$(jq -r .evidence.tpm2.quote "$out/tpm2/valid/two-banks.json")
head -c 700 "$logs/sha256-sha384.bin" >"$dir/cut"
{ printf '\004\0\0\0\005\0\0\0'; head -c 20 /dev/zero; printf '\004\0\0\0boot'; } >"$dir/old"
bent other-ak p256 quote_signature_invalid 'the AK of another TPM' '.ak = $x' --arg x "$other_ak"
bent other-quote p256 quote_signature_invalid 'the signature of another quote' '.evidence.tpm2.quote = $x' --arg x "$other_quote"
bent other-nonce p256 nonce_mismatch 'another nonce than was asked for' '.nonce = "00" + .nonce[2:]'
bent longer-nonce p256 nonce_mismatch 'a nonce of which the quoted one is a start' '.nonce += "00"'
bent fewer-pcrs p256 pcr_selection_mismatch 'a PCR quoted that was not asked for' '.selection = "sha256:0,1,2,3,4,5,6,7,8,9"'
bent more-pcrs p256 pcr_selection_mismatch 'a PCR asked for that was not quoted' '.selection += ",15"'
bent other-bank p256 pcr_selection_mismatch 'another bank than was asked for' '.selection |= sub("256"; "384")'
bent bank-missing p256 pcr_selection_mismatch 'one bank of two' '.selection += "+sha384:0"'
bent other-log p256 log_does_not_replay 'the log of another boot' '.evidence.tcg_event_log = $x' \
    --arg x "$(b64 "$logs/locality-3.bin")"
bent no-log p256 pcr_values_missing 'no log' 'del(.evidence.tcg_event_log)'
bent cut-log p256 evidence_malformed 'a log that ends inside an event' '.evidence.tcg_event_log = $x' --arg x "$(b64 "$dir/cut")"
bent old-log p256 log_format_unsupported 'a log in the old format' '.evidence.tcg_event_log = $x' --arg x "$(b64 "$dir/old")"
bent locality-lost locality-3 log_does_not_replay 'the log of a boot at locality 0' '.evidence.tcg_event_log = $x' \
    --arg x "$(b64 "$logs/boot.bin")"
bent value-wrong values-no-log pcr_digest_mismatch 'a value that was not quoted' '.evidence.tpm2.pcrs.sha256["4"] |= "00" + .[2:]'
bent value-extra values-no-log pcr_digest_mismatch 'a value of a PCR that was not quoted' \
    '.evidence.tpm2.pcrs.sha256["15"] = "0000000000000000000000000000000000000000000000000000000000000000"'
bent value-swapped values-no-log pcr_digest_mismatch 'two values swapped' \
    '.evidence.tpm2.pcrs.sha256 |= (. + {"4": .["8"], "8": .["4"]})'
bent certification p256 not_a_quote 'a TPM2_Certify by the AK' '.evidence.tpm2 = {quote: $q, signature: $s}' \
    --arg q "$(b64 "$dir/certified")" --arg s "$(b64 "$dir/certified.sig")"

# --- seeds for fuzzing: the same, in the form that each target reads ------------------------------------

for name in eventlog facts attest public tpm2 baseline evidence_body; do
    rm -rf "tests/fuzz/seeds/$name"
    mkdir -p "tests/fuzz/seeds/$name"
done
for file in "$out"/eventlog/*/*.bin; do
    name=$(basename "$file" .bin)
    cp "$file" "tests/fuzz/seeds/eventlog/$name"
    cp "$file" "tests/fuzz/seeds/facts/$name"
    # Mask and flags, the log's length, the log.
    len=$(printf %08x "$(wc -c <"$file")" | sed 's/\(..\)\(..\)\(..\)\(..\)/\4\3\2\1/')
    { printf 'ff430000%s' "$len" | xxd -r -p; cat "$file"; } >"tests/fuzz/seeds/tpm2/$name"
done
# PCR 10 by an IMA log of one entry, with two banks; and values claimed.
cp tests/fuzz/seeds/tpm2/sha256-sha384 "$dir/seed"
{
    printf 'ff470004' | xxd -r -p
    tail -c +5 "$dir/seed"
    printf '\012\0\0\0%020d\006\0\0\0ima-ng\004\0\0\0data' 1
} >tests/fuzz/seeds/tpm2/ima
{ printf 'ff430001' | xxd -r -p; tail -c +5 "$dir/seed"; } >tests/fuzz/seeds/tpm2/claimed
for file in valid/p256 valid/values-no-log valid/value-and-log invalid/value-extra; do
    jq -c '.evidence + {ima_log: "", csr: "Y3Ny"}' "$out/tpm2/$file.json" >"tests/fuzz/seeds/evidence_body/$(basename $file)"
done
echo '{"nonce":"AA==","tpm2":{"quote":"AA==","signature":"A==="}}' >tests/fuzz/seeds/evidence_body/bad-base64
jq -c '{schema: "gatehouse/baseline/1", model: "edge9", label: "fw 1.42", bank: "sha256", unlisted_pcrs: "deny",
        pcrs: (.pcrs.sha256 | map_values([., "'"$(printf %064d 0)"'"]))}' "$logs/boot.json" >tests/fuzz/seeds/baseline/boot
jq -c '{schema: "gatehouse/baseline/1", model: "m", bank: "sha384", pcrs: (.pcrs.sha384 | map_values([.]))}' \
    "$logs/sha256-sha384.json" >tests/fuzz/seeds/baseline/sha384
jq -c '.pcr = .pcrs' tests/fuzz/seeds/baseline/sha384 >tests/fuzz/seeds/baseline/unknown-field
for file in "$out"/tpm2/*/*.json; do
    name=$(basename "$file" .json)
    # The length of the quote, two bytes; the quote; the signature.
    jq -r .evidence.tpm2.quote "$file" | base64 -d >"$dir/quote"
    jq -r .evidence.tpm2.signature "$file" | base64 -d >"$dir/signature"
    len=$(printf %04x "$(wc -c <"$dir/quote")")
    { printf %s "$len" | xxd -r -p; cat "$dir/quote" "$dir/signature"; } >"tests/fuzz/seeds/attest/$name"
    jq -r .ak "$file" | base64 -d >"tests/fuzz/seeds/public/$name"
done
# One of each is enough.
for folder in attest public eventlog facts event_data tpm2; do
    (cd "tests/fuzz/seeds/$folder" && sha256sum ./* | sort | awk 'seen[$1]++ { print $2 }' | xargs -r rm)
done
cp "$dir"/plain.pub tests/fuzz/seeds/public/plain
echo "$(find "$out/eventlog" "$out/tpm2" -name '*.json' | wc -l) vectors"
