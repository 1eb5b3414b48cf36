# shellcheck shell=sh disable=SC2154 # variables are shared with the other parts
# attest.sh: evidence over a fresh nonce, and the credential that it earns.

attest() {
    if ! identity_good 0; then
        [ ! -d "$state/enrolment" ] || die $exit_pending "the enrolment is not finished: 'gatehouse-device enrol' goes on with it"
        die $exit_not_enrolled "this device is not enrolled, or its identity has expired: run 'gatehouse-device enrol'"
    fi
    identity=$(readlink -f "$state/identity")
    tpm_present
    tpm_has_handle "$conf_ak_handle" || tpm_die "the attestation key at $conf_ak_handle is gone: run 'gatehouse-device enrol --again'"
    mkdir "$work/credential"
    credential_key
    attest_round=1
    until attest_once; do
        # Not a verdict: the challenge was overtaken, and another one is to be had.
        [ $attest_round -lt 3 ] || refused 'the evidence'
        attest_round=$((attest_round + 1))
    done
    credential_install
    run_hook
}

# credential_key: the key that the next credential is for, with its request.
credential_key() {
    if [ "$conf_credential_key_renewal" = keep ] && [ -f "$state/credential/key.pem" ]; then
        case $conf_credential_key-$(key_protection "$state/credential") in
        auto-* | tpm-tpm | file-file) cp "$state/credential"/key.* "$work/credential/" ;;
        esac
    fi
    [ -f "$work/credential/key.pem" ] || key_new "$work/credential" "$conf_credential_key" credential
    key_request "$work/credential"
}

# attest_once: challenge, quote, logs, verdict. Fails when the challenge was good no longer.
attest_once() {
    echo '{}' >"$work/body"
    http POST "$conf_device_url/v1/challenges" "$work/body" "$identity"
    tpm_flush
    [ "$http_status" = 201 ] || refused 'a challenge'
    cp "$work/answer" "$work/challenge"
    # The quote first: what is measured meanwhile is in the logs, and a log may be longer than the quote.
    quote "$work/challenge"
    evidence_parts
    evidence_body "$log_held"
    http POST "$conf_device_url/v1/evidence" "$work/body" "$identity"
    if [ -n "$log_held" ] && [ "$(answer_code)" = log_wanted ]; then
        # Nothing was appraised, and the nonce is still good.
        evidence_body ''
        http POST "$conf_device_url/v1/evidence" "$work/body" "$identity"
    fi
    tpm_flush
    case $http_status in 201) return 0 ;; esac
    code=$(answer_code)
    case $code in
    nonce_used | nonce_expired | nonce_unknown | challenge_outdated | policy_changed) return 1 ;;
    ima_log_from_start_wanted)
        ima_whole=yes
        return 1
        ;;
    untrusted) jq --arg code "$code" '{code: $code, findings: (.findings // []), appraisal_id, at: (now | todate)}' \
        "$work/answer" >"$work/refused" && keep "$work/refused" "$state/refused.json" ;;
    esac
    refused 'the evidence'
}

wanted() { jq -e --arg what "$1" '.wanted | index($what) != null' "$work/challenge" >/dev/null 2>&1; }

# evidence_log NAME FILE: in $work/NAME.b64, when it is wanted; empty when it is not, or is not there.
evidence_log() {
    : >"$work/$1.b64"
    wanted "$1" || return 0
    if ! cat "$2" >"$work/$1" 2>/dev/null; then
        say "the gateway wants the $1, and $2 cannot be read"
        return 0
    fi
    base64_of "$work/$1" >"$work/$1.b64"
}

# log_is_held: the event log is the one that the gateway says it holds; its digest is in $log_held, else nothing.
log_is_held() {
    log_held=$(jq -r '.tcg_event_log_sha256 // empty | strings' "$work/challenge" 2>/dev/null) || :
    [ -s "$work/tcg_event_log.b64" ] && [ -n "$log_held" ] &&
        [ "$(openssl dgst -sha256 -r <"$work/tcg_event_log" | cut -d ' ' -f 1)" = "$log_held" ] || log_held=''
}

# ima_cut: of IMA's log what the gateway has is left out; $ima_from is how many entries that are. Whether it is the
# log of the same boot the gateway tells from the quote: where it is not, it asks for the whole.
ima_cut() {
    ima_from=0
    [ -z "${ima_whole-}" ] && [ -s "$work/ima_log.b64" ] || return 0
    ima_bytes=$(jq -r '.ima.bytes // 0' "$work/challenge" 2>/dev/null) || return 0
    [ "$ima_bytes" -gt 0 ] 2>/dev/null && [ "$(wc -c <"$work/ima_log")" -ge "$ima_bytes" ] || return 0
    ima_from=$(jq -r .ima.entries "$work/challenge")
    tail -c "+$((ima_bytes + 1))" "$work/ima_log" >"$work/ima_log.new"
    base64_of "$work/ima_log.new" >"$work/ima_log.b64"
}

# evidence_parts: all that evidence is made of, once for this challenge.
evidence_parts() {
    evidence_log tcg_event_log "$conf_event_log"
    log_is_held
    evidence_log ima_log "$conf_ima_log"
    ima_cut
    base64_of "$work/quote.msg" >"$work/quote.b64"
    base64_of "$work/quote.sig" >"$work/signature.b64"
    base64_of "$work/credential/csr.der" >"$work/csr.b64"
    echo null >"$work/certification.json"
    if [ "$(key_protection "$work/credential")" = tpm ]; then
        key_certify "$work/credential" "$(jq -r .nonce "$work/challenge")" || echo null >"$work/certification.json"
    fi
}

# evidence_body HELD: with the event log, or its digest in its place.
evidence_body() {
    jq -n --arg held "$1" --argjson from "$ima_from" --slurpfile challenge "$work/challenge" --rawfile quote "$work/quote.b64" --rawfile signature "$work/signature.b64" \
        --slurpfile pcrs "$work/pcrs.json" --rawfile log "$work/tcg_event_log.b64" --rawfile ima "$work/ima_log.b64" \
        --rawfile csr "$work/csr.b64" --slurpfile certification "$work/certification.json" \
        '{nonce: $challenge[0].nonce, tpm2: {quote: $quote, signature: $signature, pcrs: $pcrs[0]}, csr: $csr}
         + if $held != "" then {tcg_event_log_sha256: $held} elif $log == "" then {} else {tcg_event_log: $log} end
         + if $ima == "" then {} else {ima_log: $ima} end
         + if $from == 0 then {} else {ima_log_from: $from} end
         + if $certification[0] == null then {} else {key_certification: $certification[0]} end' >"$work/body"
}

# certificate_fits DIRECTORY: certificate.pem is for key.pem.
certificate_fits() {
    openssl x509 -in "$1/certificate.pem" -noout -pubkey >"$work/fits.certificate" 2>/dev/null &&
        with_key "$1" openssl pkey -in "$1/key.pem" -pubout -out "$work/fits.key" >/dev/null 2>&1 || return 1
    tpm_flush
    cmp -s "$work/fits.certificate" "$work/fits.key"
}

credential_install() {
    jq -r '.credential.certificate // empty' "$work/answer" >"$work/credential/certificate.pem"
    certificate_fits "$work/credential" || die $exit_refused 'the gateway sent a credential that is not for this key'
    cat "$work/credential/key.pem" "$work/credential/certificate.pem" >"$work/credential/combined.pem"
    cp "$identity/anchors.pem" "$work/credential/"
    rm -f "$work/credential/csr.der"
    jq --arg protection "$(key_protection "$work/credential")" \
        '{appraisal_id, verdict, tier, serial: .credential.serial, not_before: .credential.not_before,
          not_after: .credential.not_after, renew_after, key_protection: $protection}' \
        "$work/answer" >"$work/credential/result.json"
    [ -z "$conf_hook" ] || : >"$state/hook-due"
    put_in_force credential "$work/credential"
    rm -f "$state/refused.json" "$state/attest-due"
    json_file "$state/credential/result.json" \
        '"\(.verdict): credential \(.serial) until \(.not_after), key_protection: \(.key_protection)"'
}

# run_hook: once for each credential that was put in place. One that fails, or that a power cut stopped, is run
# again by the next attest or renew.
run_hook() {
    [ -f "$state/hook-due" ] || return 0
    if [ -n "$conf_hook" ]; then
        GATEHOUSE_CREDENTIAL="$state/credential" GATEHOUSE_DEVICE_ID="$(json_file "$state/identity/result.json" .device_id)" \
            "$conf_hook" </dev/null >&2 9>&- || die $exit_hook "the credential is in place, but $conf_hook failed with $?"
    fi
    rm -f "$state/hook-due"
}

# credential_due: why there is something to do, in $due; fails when there is nothing.
credential_due() {
    if [ -f "$state/refused.json" ]; then
        due='the last verdict was untrusted'
    elif [ -f "$state/attest-due" ]; then
        due='the device has enrolled again'
    elif [ ! -f "$state/credential/key.pem" ]; then
        due='there is no credential'
    elif ! openssl x509 -in "$state/credential/certificate.pem" -noout -checkend 0 >/dev/null 2>&1; then
        due='the credential has expired'
    elif ! jq -e '(.renew_after | fromdateiso8601) > now' "$state/credential/result.json" >/dev/null 2>&1; then
        due='the credential is due'
    else
        return 1
    fi
}

renew() {
    if credential_due; then
        say "$due"
        attest
        return
    fi
    run_hook
    echo "nothing to do: the credential is good, and due after $(json_file "$state/credential/result.json" .renew_after)"
}
