#!/bin/sh
# activation.sh: a TPM (swtpm) opens what our TPM2_MakeCredential closed, for each kind of EK that it has.
# test: credential activation against a TPM
set -u

cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
make_credential=$BUILD/tests/e2e/make_credential
secret=00112233445566778899aabbccddeeffffeeddccbbaa99887766554433221100
dir=$(mktemp -d) || exit 1
tpm=''

stop() {
    [ -z "$tpm" ] || kill "$tpm" 2>/dev/null
    rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' HUP INT TERM

ok() { echo "ok - $1"; }
not_ok() { echo "not ok - $1"; }
claim() {
    what=$1
    shift
    if "$@" >"$dir/log" 2>&1; then ok "$what"; else
        cat "$dir/log"
        not_ok "$what"
    fi
}
refuses() { ! "$@"; }

mkdir "$dir/state"
swtpm socket --tpm2 --tpmstate dir="$dir/state" --server type=unixio,path="$dir/tpm" \
    --ctrl type=unixio,path="$dir/tpm.ctrl" --flags not-need-init,startup-clear >"$dir/swtpm.log" 2>&1 &
tpm=$!
export TPM2TOOLS_TCTI="swtpm:path=$dir/tpm"
tries=50
until [ -S "$dir/tpm.ctrl" ] && tpm2_getrandom 1 >"$dir/log" 2>&1; do
    tries=$((tries - 1))
    if [ $tries -eq 0 ]; then
        cat "$dir/swtpm.log" "$dir/log"
        not_ok 'a software TPM starts'
        exit 1
    fi
    sleep 0.1
done

# new_ak EK AK: a restricted P-256 signing key below the EK.
new_ak() {
    tpm2_createak -C "$dir/$1.ctx" -c "$dir/$2.ctx" -G ecc -g sha256 -s ecdsa -u "$dir/$2.pub" -f tss -n "$dir/$2.name" &&
        tpm2_flushcontext -t
}

# activate EK AK CREDENTIAL: prints the secret, as hex. The templates for RSA-2048 and P-256 want a policy session, those of the high
# range take the (empty) password too.
activate() {
    if [ "$1" = ecc384 ]; then
        tpm2_activatecredential -c "$dir/$2.ctx" -C "$dir/$1.ctx" -i "$3" -o "$dir/secret" >/dev/null
        code=$?
    else
        tpm2_startauthsession --policy-session -S "$dir/session" >/dev/null &&
            tpm2_policysecret -S "$dir/session" -c endorsement >/dev/null &&
            tpm2_activatecredential -c "$dir/$2.ctx" -C "$dir/$1.ctx" -i "$3" -o "$dir/secret" -P "session:$dir/session" \
                >/dev/null
        code=$?
        tpm2_flushcontext "$dir/session" >/dev/null 2>&1
    fi
    tpm2_flushcontext -t >/dev/null 2>&1
    [ $code -eq 0 ] && od -An -v -tx1 "$dir/secret" | tr -d ' \n'
}

gives_secret() {
    got=$(activate "$1" "$2" "$3") || return 1
    [ "$got" = "$secret" ] || { echo "another secret: $got"; return 1; }
}

for kind in rsa ecc ecc384; do
    claim "$kind: an EK and an AK are made" eval "tpm2_createek -G $kind -c $dir/$kind.ctx -u $dir/$kind.pub &&
        tpm2_flushcontext -t && new_ak $kind $kind-ak && new_ak $kind $kind-other"
    claim "$kind: the server takes both keys" \
        "$make_credential" "$dir/$kind.pub" "$dir/$kind-ak.pub" $secret "$dir/$kind.cred"
    claim "$kind: the TPM with EK and AK gives the secret" gives_secret $kind $kind-ak "$dir/$kind.cred"
    claim "$kind: for another AK it does not" refuses activate $kind $kind-other "$dir/$kind.cred"
    claim "$kind: an AK is not taken as an EK" \
        refuses "$make_credential" "$dir/$kind-ak.pub" "$dir/$kind-ak.pub" $secret "$dir/none"
    claim "$kind: an EK is not taken as an AK" \
        refuses "$make_credential" "$dir/$kind.pub" "$dir/$kind.pub" $secret "$dir/none"
done
claim 'the RSA EK does not open what was made for the ECC one' refuses activate rsa rsa-ak "$dir/ecc.cred"

# Each attribute of an AK matters: a key that lacks one is a key that the TPM makes, and that we refuse.
tpm2_createprimary -C e -G ecc -c "$dir/parent.ctx" >/dev/null 2>&1
tpm2_flushcontext -t >/dev/null 2>&1
# lacks NAME ATTRIBUTES
lacks() {
    tpm2_create -C "$dir/parent.ctx" -G ecc256:ecdsa-sha256 -a "$2" -u "$dir/odd.pub" -r "$dir/odd.priv" >"$dir/log" 2>&1
    code=$?
    tpm2_flushcontext -t >/dev/null 2>&1
    if [ $code -ne 0 ]; then
        cat "$dir/log"
        not_ok "an AK without $1 is made"
    elif "$make_credential" "$dir/ecc.pub" "$dir/odd.pub" $secret "$dir/none" 2>"$dir/log"; then
        not_ok "an AK without $1 is refused"
    elif grep -q "$1" "$dir/log"; then
        ok "an AK without $1 is refused by that name"
    else
        cat "$dir/log"
        not_ok "an AK without $1 is refused by that name"
    fi
}
lacks restricted 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign'
lacks fixedTPM 'sensitivedataorigin|userwithauth|sign'
