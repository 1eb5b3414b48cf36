# shellcheck shell=sh disable=SC2034,SC2154 # what is read here is used by the other parts
# config.sh: reads "key = value" lines. The file is never run: each key is known and each value checked; all
# mistakes are told at once, with file and line.

config_defaults() {
    conf_enrol_url='' conf_device_url='' conf_ca_file='' conf_model=''
    conf_state_dir=/var/lib/gatehouse-device
    conf_tcti=${TPM2TOOLS_TCTI:-device:/dev/tpmrm0}
    conf_ek_algorithm=auto conf_ek_handle=auto conf_ek_nv_index=auto conf_ek_certificate=nv
    conf_ak_algorithm=ecc conf_ak_handle=0x81008001 conf_tls_key_handle=0x81008002
    conf_identity_key=auto conf_credential_key=auto conf_credential_key_renewal=fresh
    conf_event_log=/sys/kernel/security/tpm0/binary_bios_measurements
    conf_ima_log=/sys/kernel/security/ima/binary_runtime_measurements
    conf_hook=''
    conf_tries=5 conf_backoff=2 conf_backoff_max=60 conf_connect_timeout=10 conf_timeout=60
}

# trimmed TEXT: in $trimmed, without white space at both ends.
trimmed() {
    trimmed=${1#"${1%%[![:space:]]*}"}
    trimmed=${trimmed%"${trimmed##*[![:space:]]}"}
}

config_mistake() {
    say "$config_file:$line_number: $1"
    config_bad=yes
}

# --- checks of values; each says what it wants ---------------------------------------------------------

want_url() {
    case $1 in
    *[!A-Za-z0-9:/._%~\[\]-]*) ;;
    https://?*) return 0 ;;
    esac
    config_mistake "$key: not an https:// address"
}
want_path() {
    case $1 in *[[:cntrl:]]*) ;; /?*) return 0 ;; esac
    config_mistake "$key: not an absolute path"
}
want_one_of() { # VALUE WORD...
    wanted_value=$1
    shift
    for word in "$@"; do
        [ "$wanted_value" != "$word" ] || return 0
    done
    config_mistake "$key: not one of: $*"
}
want_number() { # VALUE LOW HIGH
    case $1 in
    '' | *[!0-9]* | ??????*) ;;
    *) if [ "$1" -ge "$2" ] && [ "$1" -le "$3" ]; then return 0; fi ;;
    esac
    config_mistake "$key: not a number from $2 to $3"
}
want_handle() { # VALUE PREFIX
    case ${1#"$2"} in
    "$1" | '' | *[!0-9a-fA-F]*) ;;
    ?????? | ?????) return 0 ;;
    esac
    config_mistake "$key: not $3"
}
want_characters() { # VALUE PATTERN-OF-OTHERS
    # shellcheck disable=SC2254 # it is a pattern
    case $1 in '' | $2) config_mistake "$key: a character that does not belong there" ;; esac
}

config_set() { # KEY VALUE
    case $1 in
    enrol_url) want_url "$2"; conf_enrol_url=${2%/} ;;
    device_url) want_url "$2"; conf_device_url=${2%/} ;;
    ca_file) want_path "$2"; conf_ca_file=$2 ;;
    model) want_characters "$2" '*[!A-Za-z0-9._-]*'; conf_model=$2 ;;
    state_dir) want_path "$2"; conf_state_dir=${2%/} ;;
    tcti) want_characters "$2" '*[!A-Za-z0-9:=,/._-]*'; conf_tcti=$2 ;;
    ek_algorithm) want_one_of "$2" auto rsa2048 ecc256 ecc384; conf_ek_algorithm=$2 ;;
    ek_handle) [ "$2" = auto ] || want_handle "$2" 0x81 'a persistent handle (0x81...) or auto'; conf_ek_handle=$2 ;;
    ek_nv_index) [ "$2" = auto ] || want_handle "$2" 0x1 'an NV index (0x1...) or auto'; conf_ek_nv_index=$2 ;;
    ek_certificate) case $2 in nv | none) ;; *) want_path "$2" ;; esac; conf_ek_certificate=$2 ;;
    ak_algorithm) want_one_of "$2" ecc rsa; conf_ak_algorithm=$2 ;;
    ak_handle) want_handle "$2" 0x81 'a persistent handle (0x81...)'; conf_ak_handle=$2 ;;
    tls_key_handle) want_handle "$2" 0x81 'a persistent handle (0x81...)'; conf_tls_key_handle=$2 ;;
    identity_key) want_one_of "$2" auto tpm file; conf_identity_key=$2 ;;
    credential_key) want_one_of "$2" auto tpm file; conf_credential_key=$2 ;;
    credential_key_renewal) want_one_of "$2" fresh keep; conf_credential_key_renewal=$2 ;;
    event_log) want_path "$2"; conf_event_log=$2 ;;
    ima_log) want_path "$2"; conf_ima_log=$2 ;;
    hook) want_path "$2"; conf_hook=$2 ;;
    tries) want_number "$2" 1 100; conf_tries=$2 ;;
    backoff) want_number "$2" 0 3600; conf_backoff=$2 ;;
    backoff_max) want_number "$2" 1 3600; conf_backoff_max=$2 ;;
    connect_timeout) want_number "$2" 1 600; conf_connect_timeout=$2 ;;
    timeout) want_number "$2" 1 3600; conf_timeout=$2 ;;
    *) config_mistake "unknown key $(printable "$1")" ;;
    esac
}

config_line() { # LINE
    trimmed "$1"
    case $trimmed in
    '' | '#'*) return 0 ;;
    *=*) ;;
    *) config_mistake 'not "key = value"'; return 0 ;;
    esac
    config_rest=${trimmed#*=}
    trimmed "${trimmed%%=*}"
    key=$trimmed
    trimmed "$config_rest"
    case $key in
    '' | *[!a-z_]*) config_mistake "unknown key $(printable "$key")"; return 0 ;;
    esac
    case $config_seen in *" $key "*) config_mistake "$key stands twice" ;; esac
    config_seen="$config_seen$key "
    config_set "$key" "$trimmed"
}

# config_read FILE: everything in $conf_KEY, or the end.
config_read() {
    config_defaults
    if ! [ -f "$1" ] || ! [ -r "$1" ]; then
        die $exit_usage "$1 cannot be read: it says where the gateway is; gatehouse-device(8) describes it"
    fi
    # It names a program to be run: nobody but its owner and root may write it.
    if [ -n "$(find -L "$1" -prune \( -perm -020 -o -perm -002 \))" ]; then
        die $exit_usage "$1 can be written by others than its owner: chmod go-w $1"
    fi
    config_bad='' config_seen=' ' line_number=0
    while IFS= read -r line || [ -n "$line" ]; do
        line_number=$((line_number + 1))
        config_line "$line"
    done <"$1"
    for key in enrol_url device_url ca_file model; do
        case $config_seen in
        *" $key "*) ;;
        *) say "$1: $key is missing"; config_bad=yes ;;
        esac
    done
    [ -z "$config_bad" ] || exit $exit_usage
    export TPM2TOOLS_TCTI="$conf_tcti" TPM2OPENSSL_TCTI="$conf_tcti"
}
