# shellcheck shell=sh
# device.sh: a simulated device for the demo and the end-to-end tests, to be sourced. Its TPM is a swtpm with
# EK certificates of a vendor's CA of its own, its firmware is bootlog.sh, and tpm2-tools play its software.
#
# $work is the folder that everything lives in; $demo the folder of this file. A device is named by a word,
# and $work/WORD holds it. $started collects the processes that were started, for stop_processes.
# Functions return non-zero when a step failed. Nothing outside $work is written.
: "${work:?the folder to work in}" "${demo:?the folder of device.sh}"

# shellcheck source=deploy/device/certify.sh
. "$demo/../device/certify.sh"
# shellcheck source=deploy/device/tss2.sh
. "$demo/../device/tss2.sh"

started=''

# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for() {
    tries=$(($1 * 20))
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.05
    done
}

ended() { ! kill -0 "$1" 2>/dev/null; }

# stop_process PID: asks, then insists. Only for children of this shell.
stop_process() {
    kill "$1" 2>/dev/null || :
    wait_for 5 ended "$1" || kill -9 "$1" 2>/dev/null || :
    wait "$1" 2>/dev/null || :
    kept=''
    for pid in $started; do
        [ "$pid" = "$1" ] || kept="$kept $pid"
    done
    started=$kept
}

stop_processes() {
    for pid in $started; do
        stop_process "$pid"
    done
}

# --- making ------------------------------------------------------------------------------------------

# vendor_new VENDOR: a maker of TPMs, with a CA for EK certificates in $work/VENDOR.
vendor_new() {
    mkdir -p "$work/$1"
    cat >"$work/$1/localca.conf" <<END
statedir = $work/$1
signingkey = $work/$1/signkey.pem
issuercert = $work/$1/issuercert.pem
certserial = $work/$1/certserial
END
    cat >"$work/$1/localca.options" <<END
--platform-manufacturer Acme
--platform-version 1.0
--platform-model Edge9
END
    cat >"$work/$1/setup.conf" <<END
create_certs_tool = $(command -v swtpm_localca)
create_certs_tool_config = $work/$1/localca.conf
create_certs_tool_options = $work/$1/localca.options
active_pcr_banks = sha256
END
}

# vendor_bundle VENDOR: the certificates that the vendor publishes, as PEM. After its first device.
vendor_bundle() {
    cat "$work/$1/swtpm-localca-rootca-cert.pem" "$work/$1/issuercert.pem"
}

# device_new DEVICE VENDOR [BANKS]: a TPM with RSA-2048 and ECC P-384 EKs and their certificates.
device_new() {
    mkdir -p "$work/$1/tpm"
    swtpm_setup --tpm2 --tpmstate "$work/$1/tpm" --config "$work/$2/setup.conf" --create-ek-cert --lock-nvram \
        --vmid "$1" --pcr-banks "${3:-sha256}" --logfile "$work/$1/setup.log" >"$work/$1/setup.out" 2>&1
}

# --- running -----------------------------------------------------------------------------------------

# tpm DEVICE COMMAND...: one tpm2-tools command at the device's TPM, which keeps nothing transient of it.
tpm() {
    TPM2TOOLS_TCTI=swtpm:path=$work/$1/s
    export TPM2TOOLS_TCTI
    tpm_name=$1
    shift
    tpm2 "$@" 2>>"$work/$tpm_name/tools.log" || return 1
    tpm2 flushcontext -t 2>>"$work/$tpm_name/tools.log"
}

tpm_answers() {
    TPM2TOOLS_TCTI=swtpm:path=$work/$1/s tpm2 getcap properties-variable
}

# device_power_on DEVICE: a reset of the TPM, with nothing measured yet.
device_power_on() {
    rm -f "$work/$1/s" "$work/$1/s.ctrl"
    # A short relative name: paths of sockets have a small limit.
    (cd "$work/$1" && exec swtpm socket --tpm2 --tpmstate dir=tpm --server type=unixio,path=s \
        --ctrl type=unixio,path=s.ctrl --flags startup-clear --log file=swtpm.log >/dev/null 2>&1) &
    started="$started $!"
    echo $! >"$work/$1/pid"
    wait_for 5 tpm_answers "$1"
}

device_power_off() {
    tpm "$1" shutdown -c || :
    stop_process "$(cat "$work/$1/pid")"
}

# device_boot DEVICE: power on, and a boot whose measurements are in the log and in the PCRs. What boots is
# said with bootlog.sh's variables.
device_boot() {
    device_power_on "$1" || return 1
    sh "$demo/bootlog.sh" boot "$work/$1/log" >"$work/$1/extends" || return 1
    # shellcheck disable=SC2046 # one word an extend
    tpm "$1" pcrextend $(cat "$work/$1/extends")
}

# device_runs DEVICE PCR TYPE TEXT [hidden]: something more is measured; hidden, it is not in the log.
device_runs() {
    cp "$work/$1/log" "$work/$1/log.new"
    extend=$(sh "$demo/bootlog.sh" add "$work/$1/log.new" "$2" "$3" "$4") || return 1
    [ "${5-}" = hidden ] || mv "$work/$1/log.new" "$work/$1/log"
    tpm "$1" pcrextend "$extend"
}

# --- keys --------------------------------------------------------------------------------------------

# device_keys DEVICE [EK] [AK]: EK rsa2048, ecc384 (both made by the vendor) or ecc256 (certified here); AK
# ecc:ecdsa, rsa:rsassa or rsa:rsapss, hash sha256 unless ":sha384" follows. Leaves ek.pub, ek.der, ak.pub,
# tls.key and csr.der.
device_keys() {
    dir=$work/$1
    ek_kind=${2:-rsa2048}
    ak_kind=${3:-ecc:ecdsa}
    case $ek_kind in
    rsa2048) ek=0x81010001 nv=0x1c00002 ;;
    ecc384) ek=0x81010016 nv=0x1c00016 ;;
    ecc256) ek=0x8101000a nv='' ;;
    *) return 2 ;;
    esac
    echo $ek >"$dir/ek.handle"
    if [ -n "$nv" ]; then
        tpm "$1" nvread -Q -C o -o "$dir/ek.der" $nv || return 1
    else
        tpm "$1" createek -Q -G ecc256 -c $ek || return 1
        tpm "$1" readpublic -Q -c $ek -f pem -o "$dir/ek.pem" || return 1
        vendor_certifies "$dir/ek.pem" "$dir/ek.der" || return 1
    fi
    tpm "$1" readpublic -Q -c $ek -f tss -o "$dir/ek.pub" || return 1
    device_ak "$1" "$ak_kind" && device_tls_key "$1"
}

# device_ak DEVICE [AK]: a restricted signing key under the EK, kept over restarts.
device_ak() {
    dir=$work/$1
    ak_kind=${2:-ecc:ecdsa}
    ak_hash=sha256
    case $ak_kind in *:sha384) ak_hash=sha384 ak_kind=${ak_kind%:sha384} ;; esac
    tpm "$1" evictcontrol -Q -C o -c 0x81008001 >/dev/null 2>&1 || :
    tpm "$1" createak -Q -C "$(cat "$dir/ek.handle")" -c "$dir/ak.ctx" -G "${ak_kind%:*}" -s "${ak_kind#*:}" -g $ak_hash \
        -f tss -u "$dir/ak.pub" -n "$dir/ak.name" >/dev/null || return 1
    tpm "$1" evictcontrol -Q -C o -c "$dir/ak.ctx" 0x81008001 >/dev/null || return 1
    echo "-g $ak_hash --scheme ${ak_kind#*:}" >"$dir/ak.scheme"
}

# vendor_certifies PUBLIC-KEY.pem OUT.der: an EK certificate by $vendor's CA, for keys that swtpm_setup does not make.
vendor_certifies() {
    cat >"$work/ek.ext" <<END
basicConstraints = critical, CA:FALSE
keyUsage = critical, keyAgreement
extendedKeyUsage = 2.23.133.8.1
subjectAltName = critical, dirName:tpm
[tpm]
1.2.23.133.2.1 = UTF8:id:00001014
2.2.23.133.2.2 = UTF8:swtpm
3.2.23.133.2.3 = UTF8:id:20191023
END
    openssl req -new -newkey rsa:2048 -nodes -keyout "$work/unused.key" -subj / -out "$work/ek.csr" 2>/dev/null &&
        openssl x509 -req -in "$work/ek.csr" -force_pubkey "$1" -CA "$work/${vendor:?}/issuercert.pem" \
            -CAkey "$work/$vendor/signkey.pem" -set_serial "0x$(openssl rand -hex 8)" -days 3650 \
            -extfile "$work/ek.ext" -outform DER -out "$2" 2>/dev/null
}

# device_tls_key DEVICE: the key that the device talks TLS with, and a request for its certificates.
device_tls_key() {
    openssl ecparam -name prime256v1 -genkey -noout -out "$work/$1/tls.key" &&
        openssl req -new -key "$work/$1/tls.key" -subj "/CN=$1" -outform DER -out "$work/$1/csr.der"
}

# device_tpm_key DEVICE [ATTRIBUTES]: a key at 0x81008010, made in the TPM and, unless the attributes say otherwise,
# bound to it. Leaves tpm_key.pub; tpm_key.csr, a request for it; and tpm_key.pem, which OpenSSL takes for the key
# where OPENSSL_CONF is deploy/device/openssl.cnf and TPM2OPENSSL_TCTI names the device's TPM.
device_tpm_key() {
    dir=$work/$1
    tpm "$1" evictcontrol -Q -C o -c 0x81008010 >/dev/null 2>&1 || :
    # The parent that the format of tpm_key.pem names for the owner's hierarchy.
    tpm "$1" createprimary -Q -C o -G ecc256:aes128cfb -g sha256 -c "$dir/storage.ctx" \
        -a 'restricted|decrypt|fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda' &&
        tpm "$1" create -Q -C "$dir/storage.ctx" -G ecc256 -u "$dir/tpm_key.pub" -r "$dir/tpm_key.wrapped" \
            -a "${2:-fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign}" >/dev/null &&
        tpm "$1" load -Q -C "$dir/storage.ctx" -u "$dir/tpm_key.pub" -r "$dir/tpm_key.wrapped" -c "$dir/tpm_key.ctx" >/dev/null &&
        tpm "$1" evictcontrol -Q -C o -c "$dir/tpm_key.ctx" 0x81008010 >/dev/null || return 1
    tss2_key "$dir/tpm_key.pub" "$dir/tpm_key.wrapped" "$dir/tpm_key.pem" || return 1
    OPENSSL_CONF=$demo/../device/openssl.cnf TPM2OPENSSL_TCTI=swtpm:path=$dir/s openssl req -new -key "$dir/tpm_key.pem" \
        -subj "/CN=$1" -outform DER -out "$dir/tpm_key.csr" 2>>"$dir/tools.log"
}

# --- messages ----------------------------------------------------------------------------------------

b64() { base64 -w 0 "$1"; }

# device_enrolment DEVICE MODEL: the body of POST /v1/enrollments.
device_enrolment() {
    jq -n --arg model "$2" --arg cert "$(b64 "$work/$1/ek.der")" --arg ek "$(b64 "$work/$1/ek.pub")" \
        --arg ak "$(b64 "$work/$1/ak.pub")" --arg csr "$(b64 "$work/$1/csr.der")" \
        '{model: $model, ek_certificate: $cert, ek_public: $ek, ak_public: $ak, csr: $csr}'
}

# device_activates DEVICE < answer of POST /v1/enrollments: the body that proves that this very TPM has both keys.
device_activates() {
    dir=$work/$1
    cat >"$dir/enrolled.json"
    # The file format of tpm2-tools: magic, version, then the two structures.
    {
        printf '\272\334\300\336\000\000\000\001'
        jq -r .credential_blob "$dir/enrolled.json" | base64 -d
        jq -r .encrypted_secret "$dir/enrolled.json" | base64 -d
    } >"$dir/challenge.blob"
    rm -f "$dir/secret"
    case $(cat "$dir/ek.handle") in
    0x81010016) tpm "$1" activatecredential -Q -c 0x81008001 -C 0x81010016 -i "$dir/challenge.blob" -o "$dir/secret" || return 1 ;;
    *)
        tpm "$1" startauthsession --policy-session -S "$dir/session" || return 1
        tpm "$1" policysecret -Q -S "$dir/session" -c e &&
            tpm "$1" activatecredential -Q -c 0x81008001 -C "$(cat "$dir/ek.handle")" -i "$dir/challenge.blob" \
                -o "$dir/secret" -P "session:$dir/session"
        activated=$?
        tpm "$1" flushcontext "$dir/session" || :
        [ $activated -eq 0 ] || return 1
        ;;
    esac
    jq -n --arg secret "$(b64 "$dir/secret")" '{secret: $secret}'
}

# device_quote DEVICE NONCE-HEX SELECTION: quote.msg and quote.sig.
device_quote() {
    # shellcheck disable=SC2046 # words
    tpm "$1" quote -Q -c 0x81008001 -l "$3" -q "$2" $(cat "$work/$1/ak.scheme") -m "$work/$1/quote.msg" \
        -s "$work/$1/quote.sig" >/dev/null
}

# device_evidence DEVICE < answer of POST /v1/challenges: the body of POST /v1/evidence.
device_evidence() {
    dir=$work/$1
    cat >"$dir/challenge.json"
    device_quote "$1" "$(jq -r .nonce "$dir/challenge.json" | base64 -d | xxd -p -c 64)" \
        "$(jq -r '.pcr_selection | to_entries | map(.key + ":" + (.value | map(tostring) | join(","))) | join("+")' \
            "$dir/challenge.json")" || return 1
    jq -n --arg nonce "$(jq -r .nonce "$dir/challenge.json")" --arg quote "$(b64 "$dir/quote.msg")" \
        --arg signature "$(b64 "$dir/quote.sig")" --arg log "$(b64 "$dir/log")" --arg csr "$(b64 "$dir/csr.der")" \
        '{nonce: $nonce, tpm2: {quote: $quote, signature: $signature}, tcg_event_log: $log, csr: $csr}'
}

# device_certification DEVICE NONCE-HEX: of the key at 0x81008010 by the AK, as key_certification has it.
device_certification() {
    dir=$work/$1
    TPM2TOOLS_TCTI=swtpm:path=$dir/s
    export TPM2TOOLS_TCTI
    tpm_certify 0x81008001 0x81008010 "$2" "$dir/certify.attest" "$dir/certify.signature" || return 1
    jq -n --arg info "$(b64 "$dir/certify.attest")" --arg signature "$(b64 "$dir/certify.signature")" \
        --arg public "$(b64 "$dir/tpm_key.pub")" '{certify_info: $info, signature: $signature, public: $public}'
}

# device_pcrs DEVICE INDICES: the TPM's own values, as the "pcrs" of a baseline: {"0":["hex"],...}.
device_pcrs() {
    tpm "$1" pcrread "sha256:$2" |
        sed -n 's/^ *\([0-9][0-9]*\) *: 0x\([0-9A-Fa-f]*\)$/\1 \2/p' | tr 'A-F' 'a-f' |
        jq -R -n '[inputs | split(" ") | {key: .[0], value: [.[1]]}] | from_entries'
}
