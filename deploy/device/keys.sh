# shellcheck shell=sh disable=SC2154 # variables are shared with the other parts
# keys.sh: the keys that the device talks TLS with. In the TPM through the tpm2 provider of OpenSSL where that
# works, else in a file; which of the two is in result.json as key_protection.

# key_protection DIRECTORY: tpm or file.
key_protection() { if [ -f "$1/key.tpm.public" ]; then echo tpm; else echo file; fi; }

# provider_conf: openssl.cnf, where programs that use a key in the TPM look for it.
provider_conf() {
    cmp -s "$lib/openssl.cnf" "$state/openssl.cnf" && return 0
    cp "$lib/openssl.cnf" "$work/openssl.cnf"
    keep "$work/openssl.cnf" "$state/openssl.cnf"
}

# with_key DIRECTORY COMMAND...: openssl, able to use the key there.
with_key() {
    if [ "$(key_protection "$1")" = tpm ]; then
        shift
        OPENSSL_CONF=$state/openssl.cnf "$@"
    else
        shift
        "$@"
    fi
}

# key_new DIRECTORY WANTED USE: key.pem there. WANTED is auto, tpm or file; USE is "identity" when curl has to be
# able to use it, "credential" when it is for others.
key_new() {
    if [ "$2" != file ]; then
        if key_in_tpm "$1" && key_works "$1" "$3"; then
            tpm_flush
            return 0
        fi
        tpm_flush
        key_trouble="the $3 key cannot live in the TPM: $key_why"
        [ "$2" = auto ] || tpm_die "$key_trouble"
        say "$key_trouble; it is kept in a file"
        rm -f "$1"/key.*
    fi
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1/key.pem" 2>/dev/null ||
        die $exit_local "no key can be made in $1"
}

# The key's parent is the storage key that the TSS2 format names for the owner's hierarchy: made from the TPM's
# seed whenever it is wanted.
storage_key() {
    [ -f "$work/storage.ctx" ] || tpm createprimary -Q -C o -G ecc256:aes128cfb -g sha256 -c "$work/storage.ctx" \
        -a 'restricted|decrypt|fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda'
}

key_in_tpm() {
    key_why='tpm2-openssl is not installed'
    openssl list -providers -provider tpm2 >/dev/null 2>&1 || return 1
    tpm_flush
    key_why='it did not make one'
    storage_key && tpm create -Q -C "$work/storage.ctx" -G ecc256 -g sha256 -u "$1/key.tpm.public" -r "$1/key.tpm.private" \
        -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign' >/dev/null || return 1
    tss2_key "$1/key.tpm.public" "$1/key.tpm.private" "$1/key.pem" || return 1
    provider_conf
}

# key_works DIRECTORY USE: a signature, for the identity in a handshake of curl with a server of ours.
key_works() {
    key_why='OpenSSL cannot sign with it'
    echo gatehouse >"$work/probe"
    with_key "$1" openssl dgst -sha256 -sign "$1/key.pem" -out "$work/probe.signature" "$work/probe" >/dev/null 2>>"$work/tpm.log" || return 1
    [ "$2" = identity ] || return 0
    key_why='curl cannot use it'
    (cd "$work" && key_shakes_hands "$1" 2>>"$work/tpm.log")
}

key_shakes_hands() {
    rm -f probe.socket
    # As a gateway has it: an authority, and a certificate by it, both of which are verified.
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout probe-ca.key -out probe-ca.pem -days 2 \
        -subj '/CN=probe authority' >/dev/null 2>&1 || return 1
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout probe.key -out probe.csr \
        -subj /CN=localhost >/dev/null 2>&1 || return 1
    echo subjectAltName=DNS:localhost >probe.ext
    openssl x509 -req -in probe.csr -CA probe-ca.pem -CAkey probe-ca.key -set_serial 2 -days 2 -extfile probe.ext \
        -out probe.pem >/dev/null 2>&1 || return 1
    with_key "$1" openssl req -x509 -new -key "$1/key.pem" -out probe.client -days 2 -subj /CN=probe >/dev/null || return 1
    timeout 60 openssl s_server -unix probe.socket -cert probe.pem -key probe.key -tls1_3 -Verify 1 -www -naccept 1 >/dev/null 2>&1 </dev/null 9>&- &
    shaking=$!
    shake_tries=0
    until [ -S probe.socket ] || [ $shake_tries -ge 50 ]; do
        pause 50
        shake_tries=$((shake_tries + 1))
    done
    shaken=1
    OPENSSL_CONF=$state/openssl.cnf curl -q -sS --noproxy '*' --unix-socket probe.socket --tlsv1.3 --cacert probe-ca.pem \
        --cert probe.client --key "$1/key.pem" --max-time 20 -o /dev/null https://localhost/ >/dev/null </dev/null && shaken=0
    kill $shaking 2>/dev/null || :
    wait $shaking 2>/dev/null || :
    return $shaken
}

# key_request DIRECTORY: csr.der there. The gateway names the certificate; the subject says nothing.
key_request() {
    with_key "$1" openssl req -new -key "$1/key.pem" -subj /CN=device -outform DER -out "$1/csr.der" >/dev/null 2>&1 ||
        die $exit_local "no certificate request can be made with $1/key.pem"
    tpm_flush
}

# base64_of FILE: on one line.
base64_of() { openssl base64 -A -in "$1"; }

# key_certify DIRECTORY NONCE: certification.json in $work: the attestation key vouches for the key there, over the
# gateway's nonce (base64). For a moment the key is persistent at tls_key_handle: the one command that goes to the
# TPM as it is finds no other key through a resource manager. Fails, saying so, when the TPM does not do it.
key_certify() {
    certify_nonce=$(printf '%s' "$2" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \n')
    certify_done=1
    if key_persist "$1"; then
        if tpm_certify "$conf_ak_handle" "$conf_tls_key_handle" "$certify_nonce" "$work/certify.attest" \
            "$work/certify.signature" 2>>"$work/tpm.log"; then
            certify_done=0
        fi
        key_unpersist
    fi
    if [ $certify_done -ne 0 ]; then
        say "the TPM does not vouch for the key: $(tpm_complaint)"
        return 1
    fi
    base64_of "$work/certify.attest" >"$work/certify.attest.b64"
    base64_of "$work/certify.signature" >"$work/certify.signature.b64"
    base64_of "$1/key.tpm.public" >"$work/certify.public.b64"
    jq -n --rawfile info "$work/certify.attest.b64" --rawfile signature "$work/certify.signature.b64" \
        --rawfile public "$work/certify.public.b64" \
        '{certify_info: $info, signature: $signature, public: $public}' >"$work/certification.json"
}

# What a power cut left at the handle is ours when the note says so; nothing else is ever removed.
key_persist() {
    [ ! -f "$state/tls-key-persistent" ] || key_unpersist
    if tpm_has_handle "$conf_tls_key_handle"; then
        say "tls_key_handle: $conf_tls_key_handle is in use by another key"
        return 1
    fi
    storage_key && tpm load -Q -C "$work/storage.ctx" -u "$1/key.tpm.public" -r "$1/key.tpm.private" -c "$work/tls.ctx" >/dev/null || return 1
    : >"$state/tls-key-persistent"
    durable "$state"
    tpm evictcontrol -Q -C o -c "$work/tls.ctx" "$conf_tls_key_handle" >/dev/null
}

key_unpersist() {
    tpm evictcontrol -Q -C o -c "$conf_tls_key_handle" >/dev/null || :
    rm -f "$state/tls-key-persistent"
}
