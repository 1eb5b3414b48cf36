# shellcheck shell=sh disable=SC2154 # variables are shared with the other parts
# enrol.sh: the way to an identity. Each step leaves what the next one needs in the state directory, so that an
# enrolment goes on where it stopped, after a power cut as well; one that the gateway has forgotten begins anew.
#
#   enrolment/  key.pem csr.der ek.pub ek.der ak.pub   the keys are chosen
#               answer.json                            the gateway has sealed a secret for them
#               secret                                 the TPM has opened it

# identity_good: there is one, and it will last a while (seconds).
identity_good() {
    [ -f "$state/identity/key.pem" ] &&
        openssl x509 -in "$state/identity/certificate.pem" -noout -checkend "$1" >/dev/null 2>&1
}

month=2592000

enrol() {
    if [ -z "$again" ] && identity_good $month; then
        rm -rf "$state/enrolment"
        echo "enrolled: device $(json_file "$state/identity/result.json" .device_id)"
        return 0
    fi
    tpm_present
    enrol_round=1
    until enrol_go_on; do
        [ $enrol_round -lt 3 ] || die $exit_later 'the gateway forgets enrolments before they end: try again later'
        enrol_round=$((enrol_round + 1))
        rm -rf "$state/enrolment"
    done
}

# enrol_go_on: from wherever it stopped. Fails when the gateway does not know this enrolment any more.
enrol_go_on() {
    if [ -d "$state/enrolment" ] && ! enrolment_usable "$state/enrolment"; then
        say 'the enrolment that was under way cannot go on: a new one begins'
        rm -rf "$state/enrolment"
    fi
    [ -d "$state/enrolment" ] || enrol_prepare
    enrolment=$state/enrolment
    ek_choose
    [ -f "$enrolment/answer.json" ] || enrol_ask
    if [ ! -f "$enrolment/secret" ]; then
        if ! activate "$enrolment/answer.json" "$work/secret"; then
            say "the TPM does not open what the gateway sealed: $(tpm_complaint)"
            return 1
        fi
        keep "$work/secret" "$enrolment/secret"
    fi
    enrol_activate
}

# Keys of this TPM, for this model, and time left; how long it may wait for an operator is the gateway's to say.
enrolment_usable() {
    [ -f "$1/csr.der" ] && [ "$(cat "$1/model" 2>/dev/null)" = "$conf_model" ] || return 1
    tpm readpublic -Q -c "$conf_ak_handle" -f tss -o "$work/ak.now" 2>/dev/null && cmp -s "$work/ak.now" "$1/ak.pub" || return 1
    [ -f "$1/answer.json" ] && [ ! -f "$1/secret" ] || return 0
    jq -e '(.expires_at | fromdateiso8601) > now' "$1/answer.json" >/dev/null 2>&1
}

enrol_prepare() {
    mkdir "$work/enrolment"
    ek_ready "$work/enrolment"
    ak_ready "$work/enrolment"
    key_new "$work/enrolment" "$conf_identity_key" identity
    key_request "$work/enrolment"
    echo "$conf_model" >"$work/enrolment/model"
    durable "$work/enrolment"/*
    mv "$work/enrolment" "$state/enrolment" || die $exit_local "$state cannot be written to"
    durable "$state"
}

# enrol_ask: shows the keys; keeps the answer.
enrol_ask() {
    for part in ek.pub ak.pub csr.der; do
        base64_of "$enrolment/$part" >"$work/$part.b64"
    done
    : >"$work/ek.der.b64"
    [ ! -f "$enrolment/ek.der" ] || base64_of "$enrolment/ek.der" >"$work/ek.der.b64"
    jq -n --arg model "$conf_model" --rawfile cert "$work/ek.der.b64" --rawfile ek "$work/ek.pub.b64" \
        --rawfile ak "$work/ak.pub.b64" --rawfile csr "$work/csr.der.b64" \
        '{model: $model, ek_public: $ek, ak_public: $ak, csr: $csr}
         + if $cert == "" then {} else {ek_certificate: $cert} end' >"$work/body"
    http POST "$conf_enrol_url/v1/enrollments" "$work/body" ''
    if [ "$http_status" != 201 ]; then
        # Other keys may do better next time.
        rm -rf "$enrolment"
        refused 'the enrolment'
    fi
    jq -e '(.enrollment_id | test("^[0-9a-f]{32}$")) and (.credential_blob | length > 0)' "$work/answer" >/dev/null 2>&1 ||
        die $exit_refused 'the gateway sent an enrolment that cannot be read'
    keep "$work/answer" "$enrolment/answer.json"
}

# enrol_activate: shows the secret, again and again while an operator thinks, with --wait.
enrol_activate() {
    base64_of "$enrolment/secret" >"$work/secret.b64"
    jq -n --rawfile secret "$work/secret.b64" '{secret: $secret}' >"$work/body"
    if [ "$(key_protection "$enrolment")" = tpm ] && [ -n "$(json_file "$enrolment/answer.json" .nonce)" ]; then
        key_certify "$enrolment" "$(json_file "$enrolment/answer.json" .nonce)" &&
            jq --slurpfile certification "$work/certification.json" '.key_certification = $certification[0]' \
                "$work/body" >"$work/body.new" && mv "$work/body.new" "$work/body"
    fi
    while :; do
        http POST "$conf_enrol_url/v1/enrollments/$(jq -r .enrollment_id "$enrolment/answer.json")/activate" "$work/body" ''
        case $http_status in
        200) break ;;
        202) enrol_pending ;;
        404 | 410)
            say "the enrolment is not known any more ($(answer_code)): a new one begins"
            return 1
            ;;
        *)
            rm -rf "$enrolment"
            refused 'the activation'
            ;;
        esac
    done
    enrol_done
}

enrol_pending() {
    approval_in=$(retry_after)
    if [ -z "$wait_for_approval" ]; then
        say "device $(answer_field .device_id) waits for an operator's approval. Run 'gatehouse-device enrol' again later."
        echo "pending_approval: device $(answer_field .device_id)"
        exit $exit_pending
    fi
    [ -n "${told_pending-}" ] || say "device $(answer_field .device_id) waits for an operator's approval"
    told_pending=yes
    pause $((${approval_in:-30} * 1000 + $(random_below 1000)))
}

# enrol_done: the answer holds the identity.
enrol_done() {
    mkdir "$work/identity"
    jq -r '.identity_certificate // empty' "$work/answer" >"$work/identity/certificate.pem"
    jq -r '.trust_anchors // empty' "$work/answer" >"$work/identity/anchors.pem"
    for part in "$enrolment"/key.*; do
        cp "$part" "$work/identity/"
    done
    certificate_fits "$work/identity" ||
        die $exit_refused "the gateway sent an identity certificate that is not for this device's key"
    jq --arg protection "$(key_protection "$enrolment")" --arg model "$conf_model" \
        '{device_id, model: $model, key_protection: $protection}' "$work/answer" >"$work/identity/result.json"
    # With another identity, an earlier credential is void.
    [ ! -e "$state/credential" ] || : >"$state/attest-due"
    put_in_force identity "$work/identity"
    rm -rf "$state/enrolment"
    echo "enrolled: device $(json_file "$state/identity/result.json" .device_id), key_protection: $(key_protection "$state/identity")"
}
