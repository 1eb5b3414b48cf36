# shellcheck shell=sh disable=SC2154 # variables are shared with the other parts
# tpm.sh: the endorsement key, the attestation key, activation and quotes, with tpm2-tools. Works through the
# kernel's resource manager, and directly at a TPM that has none, where what is transient is flushed at once.

# tpm COMMAND...: one tpm2-tools command; what it complains about is kept.
tpm() {
    tpm2 "$@" 2>>"$work/tpm.log" || { tpm_flush; return 1; }
    tpm_flush
}

tpm_flush() {
    case $conf_tcti in
    *tpmrm* | *tabrmd*) ;;
    *) tpm2 flushcontext -t >/dev/null 2>&1 || : ;;
    esac
}

# tpm_forget DIRECTORY: sessions that were left there keep their place in the TPM until they are flushed.
tpm_forget() {
    for session in "$1"/*.session; do
        [ ! -f "$session" ] || tpm2 flushcontext "$session" >/dev/null 2>&1 || :
    done
    [ ! -f "$1/tpm.log" ] || tpm_flush
}

tpm_complaint() {
    printable "$(grep -v WARN "$work/tpm.log" 2>/dev/null | grep -m 1 -i err || :)"
}

tpm_die() {
    say "TPM: $1"
    tpm_said=$(tpm_complaint)
    [ -z "$tpm_said" ] || say "  it says: $tpm_said"
    exit $exit_tpm
}

tpm_present() {
    case $conf_tcti in
    device:/*)
        [ -e "${conf_tcti#device:}" ] ||
            tpm_die "there is no ${conf_tcti#device:}: is the TPM switched on in the firmware? 'tcti' says where it is looked for"
        ;;
    esac
    : >"$work/tpm.log"
    tpm getcap properties-fixed >"$work/tpm.properties" || tpm_die "none answers at $conf_tcti ('tcti' in the configuration)"
}

tpm_has_handle() { tpm readpublic -Q -c "$1" >/dev/null 2>&1; }
tpm_has_nv() { tpm nvreadpublic "$1" >/dev/null 2>&1; }

# tpm_attributes HANDLE: its attributes in tpm2-tools' words, "fixedtpm|...|sign".
tpm_attributes() {
    tpm readpublic -c "$1" | sed -n '/^attributes:/,/^[a-z]/s/^ *value: *//p' | head -n 1
}

# --- the endorsement key -------------------------------------------------------------------------------

# kind, persistent handle, NV index of the certificate (TCG EK Credential Profile)
ek_kinds='rsa2048 0x81010001 0x1c00002
ecc256 0x8101000a 0x1c0000a
ecc384 0x81010016 0x1c00016'

# ek_choose: which kind. The first with a certificate in NV; without, the first that is persistent; RSA else.
ek_choose() {
    ek_kind=$conf_ek_algorithm
    if [ "$ek_kind" = auto ]; then
        ek_kind=$(echo "$ek_kinds" | while read -r kind handle index; do
            case $conf_ek_certificate in
            nv) ! tpm_has_nv "$index" || { echo "$kind"; break; } ;;
            *) ! tpm_has_handle "$handle" || { echo "$kind"; break; } ;;
            esac
        done)
        ek_kind=${ek_kind:-rsa2048}
    fi
    # shellcheck disable=SC2046 # two words
    set -- $(echo "$ek_kinds" | sed -n "s/^$ek_kind //p")
    ek_handle=$1 ek_index=$2
    [ "$conf_ek_handle" = auto ] || ek_handle=$conf_ek_handle
    [ "$conf_ek_nv_index" = auto ] || ek_index=$conf_ek_nv_index
}

# ek_ready DIRECTORY: leaves $ek_handle, and ek.pub and ek.der there; no ek.der when the certificate is "none".
ek_ready() {
    ek_choose
    case $conf_ek_certificate in
    none) ;;
    nv)
        tpm_has_nv "$ek_index" ||
            tpm_die "it has no endorsement key certificate at $ek_index: set ek_certificate to the vendor's file, or to none"
        tpm nvread -Q -C o -o "$1/ek.der" "$ek_index" || tpm nvread -Q -C "$ek_index" -o "$1/ek.der" "$ek_index" ||
            tpm_die "the endorsement key certificate at $ek_index cannot be read"
        ;;
    *)
        openssl x509 -in "$conf_ek_certificate" -outform DER -out "$1/ek.der" 2>/dev/null ||
            openssl x509 -inform DER -in "$conf_ek_certificate" -outform DER -out "$1/ek.der" 2>/dev/null ||
            die $exit_usage "ek_certificate: $conf_ek_certificate is no certificate, PEM or DER"
        ;;
    esac
    if ! tpm_has_handle "$ek_handle"; then
        say "making the endorsement key ($ek_kind) at $ek_handle"
        tpm createek -Q -G "$ek_kind" -c "$ek_handle" || tpm_die "the endorsement key ($ek_kind) cannot be made"
    fi
    tpm readpublic -Q -c "$ek_handle" -f tss -o "$1/ek.pub" && tpm readpublic -Q -c "$ek_handle" -f pem -o "$1/ek.pem" ||
        tpm_die "the endorsement key at $ek_handle cannot be read"
    ek_matches "$1" || tpm_die "the endorsement key at $ek_handle is not the one in the certificate: set ek_algorithm, ek_handle or ek_nv_index"
}

# A certificate that openssl cannot read is left to the gateway.
ek_matches() {
    [ -f "$1/ek.der" ] || return 0
    openssl x509 -inform DER -in "$1/ek.der" -noout -pubkey >"$1/certified.pem" 2>/dev/null || return 0
    [ "$(openssl pkey -pubin -in "$1/certified.pem" -outform DER 2>/dev/null | openssl dgst -sha256)" = \
        "$(openssl pkey -pubin -in "$1/ek.pem" -outform DER 2>/dev/null | openssl dgst -sha256)" ]
}

# --- the attestation key -------------------------------------------------------------------------------

# ak_ready DIRECTORY: the key at ak_handle, made when the handle is free; its public part in ak.pub.
ak_ready() {
    if tpm_has_handle "$conf_ak_handle"; then
        ak_is="|$(tpm_attributes "$conf_ak_handle")|"
        case $ak_is in *'|decrypt|'*) ak_foreign ;; *'|restricted|'*) ;; *) ak_foreign ;; esac
        case $ak_is in *'|sign|'*) ;; *) ak_foreign ;; esac
    else
        case $conf_ak_algorithm in ecc) ak_scheme=ecdsa ;; *) ak_scheme=rsassa ;; esac
        tpm createak -Q -C "$ek_handle" -c "$work/ak.ctx" -G "$conf_ak_algorithm" -g sha256 -s $ak_scheme >/dev/null &&
            tpm evictcontrol -Q -C o -c "$work/ak.ctx" "$conf_ak_handle" >/dev/null ||
            tpm_die "the attestation key cannot be made at $conf_ak_handle"
    fi
    tpm readpublic -Q -c "$conf_ak_handle" -f tss -o "$1/ak.pub" || tpm_die "the attestation key cannot be read"
}

ak_foreign() {
    tpm_die "the key at $conf_ak_handle is not an attestation key, and not ours to remove: set ak_handle to a free one"
}

# activate ANSWER SECRET: opens with EK and AK what the gateway sealed. Fails when it was sealed for others.
activate() {
    # The file format of tpm2-tools: magic, version, then the two structures.
    {
        printf '\272\334\300\336\000\000\000\001'
        jq -r .credential_blob "$1" | openssl base64 -d -A
        jq -r .encrypted_secret "$1" | openssl base64 -d -A
    } >"$work/sealed"
    case "|$(tpm_attributes "$ek_handle")|" in
    *'|userwithauth|'*)
        tpm activatecredential -Q -c "$conf_ak_handle" -C "$ek_handle" -i "$work/sealed" -o "$2" >/dev/null
        return
        ;;
    esac
    activated=1
    if tpm startauthsession --policy-session -S "$work/ek.session" && tpm policysecret -Q -S "$work/ek.session" -c e >/dev/null; then
        ! tpm activatecredential -Q -c "$conf_ak_handle" -C "$ek_handle" -i "$work/sealed" -o "$2" \
            -P "session:$work/ek.session" >/dev/null || activated=0
    fi
    tpm flushcontext "$work/ek.session" >/dev/null || :
    rm -f "$work/ek.session"
    return $activated
}

# --- quotes --------------------------------------------------------------------------------------------

# quote CHALLENGE: quote.msg, quote.sig and pcrs.json in $work, over the challenge's nonce and PCRs.
quote() {
    quote_nonce=$(jq -r .nonce "$1" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \n')
    quote_pcrs=$(jq -r '.pcr_selection | to_entries | map(.key + ":" + (.value | map(tostring) | join(","))) | join("+")' "$1")
    case $quote_nonce-$quote_pcrs in
    -* | *- | *[!a-z0-9:,+-]*) die $exit_refused 'the gateway sent a challenge that cannot be read' ;;
    esac
    # A PCR that changes in between makes the tool fail: the quote is taken anew.
    quote_try=1
    until tpm quote -Q -c "$conf_ak_handle" -l "$quote_pcrs" -q "$quote_nonce" -g sha256 -m "$work/quote.msg" \
        -s "$work/quote.sig" -o "$work/pcrs" -F values >/dev/null; do
        [ $quote_try -lt 3 ] || tpm_die 'it gave no quote'
        quote_try=$((quote_try + 1))
    done
    # The values follow each other in the order of the selection.
    od -An -v -tx1 "$work/pcrs" | tr -d ' \n' | jq -R --slurpfile challenge "$1" '
        {sha1: 40, sha256: 64, sha384: 96, sha512: 128, sm3_256: 64} as $sizes | . as $hex
        | reduce ($challenge[0].pcr_selection | to_entries[] | .key as $bank | .value | sort[] | [$bank, .]) as [$bank, $pcr]
            ({at: 0, pcrs: {}}; .pcrs[$bank]["\($pcr)"] = $hex[.at:.at + $sizes[$bank]] | .at += $sizes[$bank])
        | if .at == ($hex | length) then .pcrs else error("other values than were asked for") end' >"$work/pcrs.json" 2>>"$work/tpm.log" ||
        tpm_die 'it gave other PCR values than were asked for'
}
