# shellcheck shell=sh disable=SC2034,SC2154 # variables are shared with the other parts
# show.sh: what is there, for people and, as JSON, for machines. The status reads only, and takes no lock.

# certificate_json DIRECTORY: what its certificate and result say; null when there is none.
certificate_json() {
    if ! show_end=$(openssl x509 -in "$1/certificate.pem" -noout -enddate 2>/dev/null); then
        echo null
        return 0
    fi
    show_valid=false
    ! openssl x509 -in "$1/certificate.pem" -noout -checkend 0 >/dev/null 2>&1 || show_valid=true
    jq -n --slurpfile result "$1/result.json" --arg until "${show_end#notAfter=}" --arg at "$1" --argjson valid $show_valid \
        '($result[0] // {}) + {valid: $valid, directory: $at,
          not_after: ($until | gsub("  "; " ") | strptime("%b %d %H:%M:%S %Y GMT") | mktime | todate)}' 2>/dev/null || echo null
}

file_json() { jq . "$1" 2>/dev/null || echo null; }

# show_status: leaves the exit code in $status_code.
show_status() {
    state=$conf_state_dir
    if [ -e "$state" ] && ! [ -x "$state" ]; then
        die $exit_local "$state cannot be read: it is its owner's alone"
    fi
    show_pending=false
    [ ! -d "$state/enrolment" ] || show_pending=true
    show_void=false
    [ ! -f "$state/attest-due" ] || show_void=true
    show_json=$(jq -n --argjson identity "$(certificate_json "$state/identity")" \
        --argjson credential "$(certificate_json "$state/credential")" \
        --argjson refused "$(file_json "$state/refused.json")" --argjson enrolling $show_pending \
        --argjson void $show_void '
        {state: (if $identity == null then (if $enrolling then "enrolling" else "not_enrolled" end)
                 elif $identity.valid | not then "identity_expired"
                 elif $refused != null then "untrusted"
                 elif $credential == null or $void then "no_credential"
                 elif $credential.valid | not then "credential_expired"
                 else "trusted" end),
         device_id: $identity.device_id, model: $identity.model,
         identity: ($identity | if . == null then . else del(.device_id, .model) end),
         credential: $credential, refused: $refused}')
    show_state=$(printf '%s' "$show_json" | jq -r .state)
    case $show_state in
    trusted) status_code=0 ;;
    untrusted) status_code=$exit_untrusted ;;
    not_enrolled | identity_expired) status_code=$exit_not_enrolled ;;
    enrolling) status_code=$exit_pending ;;
    *) status_code=$exit_later ;;
    esac
    if [ -n "$as_json" ]; then
        printf '%s\n' "$show_json"
    else
        printf '%s' "$show_json" | jq -r '
            "\(.state)\(if .device_id then ": device \(.device_id)" else "" end)",
            (.identity // empty | "identity    until \(.not_after), key_protection: \(.key_protection)"),
            (.credential // empty | "credential  until \(.not_after), due after \(.renew_after), key_protection: \(.key_protection), in \(.directory)"),
            (.refused // empty | "refused     at \(.at): \(.findings | join(", "))")'
    fi
}

# show_ek: SHA-256 of the endorsement key's SubjectPublicKeyInfo; as JSON it is what POST /v1/devices takes.
show_ek() {
    tpm_present
    mkdir "$work/ek"
    ek_ready "$work/ek"
    openssl pkey -pubin -in "$work/ek/ek.pem" -outform DER -out "$work/ek/spki" 2>/dev/null ||
        tpm_die "the endorsement key at $ek_handle cannot be read"
    show_digest=$(openssl dgst -sha256 -r <"$work/ek/spki" | cut -d ' ' -f 1)
    if [ -n "$as_json" ]; then
        jq -n -c --arg model "$conf_model" --arg digest "$show_digest" '{model: $model, ek_sha256: $digest}'
    else
        echo "$show_digest"
    fi
}
