# shellcheck shell=sh disable=SC2154 # variables are shared with the other parts
# messages.sh: what the gateway's codes mean, and what to do about them. A code that is not listed is shown as
# it is: a newer gateway may have more.

# printable TEXT: what came from elsewhere, on one line, fit for a terminal and a log.
printable() { printf '%s' "$1" | tr '\n\t' '  ' | tr -cd '\040-\176' | cut -c 1-300; }

# code_meaning CODE: a sentence; nothing for an unknown code.
code_meaning() {
    case $1 in
    # findings of an appraisal
    pcr_mismatch) echo 'a PCR has a value that no baseline in force names: other firmware, boot loader, kernel or settings were booted than the operators approved' ;;
    pcr_not_quoted) echo 'a baseline names a PCR that the quote does not cover' ;;
    pcr_unlisted) echo 'a PCR is quoted that no rule of the baseline names' ;;
    image_unexpected) echo 'something ran on the way to the operating system that the operators did not approve' ;;
    command_line_not_allowed) echo 'the kernel was given a command line that the operators did not approve' ;;
    no_active_baseline) echo 'no baseline is in force for this model yet' ;;
    # enrolment
    unknown_model) echo 'the gateway knows no such model' ;;
    enrolment_closed) echo 'the model takes no new devices' ;;
    ek_certificate_required) echo 'the gateway wants an endorsement key certificate, and none was sent' ;;
    ek_certificate_untrusted) echo 'the endorsement key certificate is not by a TPM vendor that the gateway trusts' ;;
    no_ek_anchors) echo 'the gateway trusts no TPM vendor for this model yet' ;;
    ek_unacceptable) echo 'the endorsement key is not of an acceptable kind' ;;
    ak_unacceptable) echo 'the attestation key is not of an acceptable kind' ;;
    activation_failed) echo 'the TPM gave back another secret than the gateway had sealed' ;;
    enrollment_expired) echo 'the enrolment took too long' ;;
    enrollment_superseded) echo 'the device has enrolled again since' ;;
    device_model_mismatch) echo 'the gateway has this device as one of another model' ;;
    ak_in_use) echo "the attestation key is another device's too" ;;
    ak_revoked) echo 'the device gave this attestation key up when it enrolled again' ;;
    too_many_pending) echo 'too many enrolments from this address wait' ;;
    key_certification_required) echo 'the model takes only keys that the TPM vouches for' ;;
    key_certification_invalid) echo 'the proof that the key lives in the TPM does not hold' ;;
    # evidence
    untrusted) echo 'what was booted is not what the operators approved' ;;
    quote_signature_invalid | quote_signature_unsupported) echo 'the quote is not signed by the attestation key that was enrolled' ;;
    not_a_quote | evidence_malformed) echo 'the evidence cannot be read' ;;
    nonce_mismatch) echo 'the quote is over another nonce' ;;
    nonce_used | nonce_expired | nonce_unknown | challenge_outdated) echo 'the challenge is not good any more' ;;
    log_wanted) echo 'the gateway wants the whole event log' ;;
    policy_changed) echo 'the baselines changed while the evidence was looked at' ;;
    pcr_selection_mismatch | weak_pcr_bank) echo 'the TPM did not quote the PCRs that the model wants' ;;
    pcr_digest_mismatch | pcr_values_missing) echo 'the PCR values do not belong to the quote' ;;
    log_does_not_replay) echo 'the event log does not lead to the PCR values: something was measured that it does not show' ;;
    log_format_unsupported) echo 'the event log is not in the crypto-agile format' ;;
    clock_went_back) echo "the TPM's clock is behind an earlier quote" ;;
    csr_invalid) echo 'the certificate request is not acceptable' ;;
    identity_key_unproven) echo "the model wants an identity whose key is in the TPM, and this device's is not" ;;
    # the device
    device_quarantined) echo 'an operator has put this device in quarantine' ;;
    device_retired) echo 'an operator has retired this device' ;;
    forbidden) echo "the gateway does not take this device's identity" ;;
    # the gateway
    unknown_field) echo 'the gateway does not know what this client sends: one of the two is older' ;;
    body_too_large) echo 'the evidence is larger than the gateway takes' ;;
    rate_limited) echo 'too many requests from this address' ;;
    overloaded | storage_unavailable | internal) echo 'the gateway is in trouble' ;;
    not_found) echo 'the gateway knows nothing of this' ;;
    esac
}

# code_advice CODE: what to do next; nothing when there is nothing to say.
code_advice() {
    case $1 in
    untrusted) echo "The gateway has revoked this device's credential; its files are left in place. Boot the approved software and run 'gatehouse-device attest', or ask an operator to look at the appraisal." ;;
    unknown_model) echo "Check 'model' in the configuration, or ask an operator to make the model." ;;
    enrolment_closed) echo "Ask an operator to register the device: 'gatehouse-device ek' prints what that takes." ;;
    ek_certificate_required) echo "Point 'ek_certificate' at the vendor's certificate file, or ask an operator to register what 'gatehouse-device ek' prints." ;;
    ek_certificate_untrusted | no_ek_anchors) echo 'Ask an operator to add the TPM vendor to the trusted ones.' ;;
    ek_unacceptable) echo "Try another 'ek_algorithm'." ;;
    device_model_mismatch) echo "Check 'model' in the configuration." ;;
    ak_unacceptable | ak_in_use | ak_revoked) echo "Set 'ak_handle' to a free handle and enrol again." ;;
    key_certification_required) echo 'Install tpm2-openssl, and let identity_key and credential_key be auto or tpm.' ;;
    identity_key_unproven) echo "Install tpm2-openssl, let identity_key be auto or tpm, and run 'gatehouse-device enrol --again'." ;;
    forbidden) echo "Run 'gatehouse-device enrol --again', or ask an operator." ;;
    log_does_not_replay) echo "Check 'event_log' in the configuration. If it is right, the machine runs what its firmware did not log." ;;
    pcr_selection_mismatch | weak_pcr_bank) echo "Switch on the TPM's SHA-256 bank in the firmware." ;;
    quote_signature_invalid) echo "Is 'ak_handle' the one that was used for enrolment?" ;;
    body_too_large) echo "Ask an operator to raise the device plane's body_max." ;;
    device_quarantined | device_retired) echo 'Ask an operator.' ;;
    policy_changed | rate_limited | overloaded | storage_unavailable | internal | too_many_pending) echo 'Try again later.' ;;
    esac
}

# code_exit CODE: how the program ends on it.
code_exit() {
    case $1 in
    untrusted) echo "$exit_untrusted" ;;
    rate_limited | overloaded | storage_unavailable | internal | policy_changed | too_many_pending) echo "$exit_later" ;;
    *) echo "$exit_refused" ;;
    esac
}

# told CODE: "sentence (code)", or the code alone.
told() {
    meaning=$(code_meaning "$1")
    if [ -n "$meaning" ]; then echo "$meaning ($1)"; else echo "$1"; fi
}

# answer_code, answer_findings: of the problem in the last answer; codes only.
answer_code() {
    jq -r '.code // empty | strings' "$work/answer" 2>/dev/null | tr -cd 'a-z0-9_\n' | head -n 1
}
answer_findings() {
    jq -r '.findings // empty | arrays | unique[] | strings' "$work/answer" 2>/dev/null | tr -cd 'a-z0-9_\n' | head -n 50
}

# refused WHAT: the last answer is a problem. Says so, and ends.
refused() {
    code=$(answer_code)
    [ -n "$code" ] || code=http_$http_status
    say "the gateway refused $1: $(told "$code")"
    for finding in $(answer_findings); do
        say "  finding: $(told "$finding")"
    done
    refused_detail=$(jq -r '.detail // empty | strings' "$work/answer" 2>/dev/null) || :
    [ "$code" = untrusted ] || [ -z "$refused_detail" ] || say "  it says: $(printable "$refused_detail")"
    refused_id=$(jq -r '.appraisal_id // .request_id // empty | strings' "$work/answer" 2>/dev/null) || :
    [ -z "$refused_id" ] || say "  for the operator: $(printable "$refused_id")"
    advice=$(code_advice "$code")
    [ -z "$advice" ] || say "$advice"
    exit "$(code_exit "$code")"
}
