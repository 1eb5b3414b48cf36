#!/bin/sh
# test: the device client keeps its TLS keys in the TPM where that works, proves it, and says so
cd "$(dirname "$0")" && . ./lib.sh

modules=$(openssl version -m | sed 's/.*"\(.*\)"/\1/')
if [ ! -f "$modules/tpm2.so" ]; then
    skip 'keys in the TPM' 'tpm2-openssl is not installed'
    exit 0
fi

must 'a vendor is there' vendor_new acme
for device in edge bare; do
    must "$device is made" device_new $device acme
    must "$device boots" device_boot $device
done
must 'gatehouse init' gateway_init acme
export GATEHOUSE_ENROLMENT_PENDING_PER_IP=1000 GATEHOUSE_ENROLMENT_PER_IP_PER_MINUTE=100000
must 'gatehouse serve' gateway_start
must 'a model and its baseline' gateway_model acme-edge9 edge
must 'a model that wants keys in the TPM' gateway_model strict edge
jq -n '{key_protection: "tpm"}' >"$work/body"
call admin admin PUT /v1/models/strict "$work/body"
answered 'it says so' 200

ends() { # TEXT CODE DEVICE COMMAND...
    ends_text=$1 ends_code=$2
    shift 2
    device_client "$@" >"$work/said" 2>&1 </dev/null
    ended_with=$?
    if [ $ended_with -eq "$ends_code" ]; then ok "$ends_text"; else not_ok "$ends_text" "wanted $ends_code, got $ended_with" "$(tail -n 5 "$work/said")"; fi
}
says() { claim "$1" grep -q -e "$2" "$work/said"; }
protections() { device_client "$1" status --json | jq -r '"\(.identity.key_protection) \(.credential.key_protection)"'; }
known() { # DEVICE: what the gateway has seen proof of
    call admin admin GET "/v1/devices/$(device_client "$1" status --json | jq -r .device_id)"
    field '"\(.identity_key_protection) \(.key_protection)"'
}
nothing_is_left() { # DEVICE
    same "$1: nothing is left in the TPM" '' "$(tpm "$1" getcap handles-transient; tpm "$1" getcap handles-loaded-session
        tpm "$1" getcap handles-persistent | grep -i 81008002)"
}

# --- every kind of EK and AK ---------------------------------------------------------------------------

vendor=acme # of the EKs that swtpm_setup does not make
must 'a model for devices without an EK certificate' sh -c 'jq -n "{name: \"bare\", enrolment: \"approval\"}" >"$1"' sh "$work/body"
call admin admin POST /v1/models "$work/body"
answered 'it asks for approval' 201
kind=1
try_kind() { # TEXT MODEL CODE LINE...: enrols, and attests when the code is 0
    kind_text=$1 kind_model=$2 kind_code=$3
    shift 3
    device_configures bare "$kind_model" 'tries = 2' 'backoff = 0' 'identity_key = file' 'credential_key = file' \
        "state_dir = $work/bare/kind$kind" "ak_handle = 0x8100810$kind" "$@"
    sed -i "/^state_dir = .*state$/d" "$work/bare/client.conf"
    kind=$((kind + 1))
    ends "$kind_text enrols" "$kind_code" bare enrol
    [ "$kind_code" -ne 0 ] || ends "$kind_text attests" 0 bare attest
}
try_kind 'an RSA AK' acme-edge9 0 'ak_algorithm = rsa'
try_kind 'an ECC P-384 EK' acme-edge9 0 'ek_algorithm = ecc384'
tpm bare createek -Q -G ecc256 -c 0x8101000a
tpm bare readpublic -Q -c 0x8101000a -f pem -o "$work/ecc256.pem"
tpm bare evictcontrol -Q -C o -c 0x8101000a
must 'the vendor certifies another EK' vendor_certifies "$work/ecc256.pem" "$work/ecc256.der"
try_kind 'an ECC P-256 EK that the client makes, its certificate in a file,' acme-edge9 0 'ek_algorithm = ecc256' \
    "ek_certificate = $work/ecc256.der"
openssl x509 -inform DER -in "$work/ecc256.der" -out "$work/ecc256.crt"
try_kind 'the same in PEM' acme-edge9 0 'ek_algorithm = ecc256' "ek_certificate = $work/ecc256.crt"
must 'an EK without a certificate is made' device_new plain acme
must 'its TPM boots' device_boot plain
device_configures plain acme-edge9 'tries = 2' 'backoff = 0' 'identity_key = file' 'credential_key = file' 'ek_certificate = none'
ends 'where one is required it is refused' 8 plain enrol
says 'in words' 'wants an endorsement key certificate.*(ek_certificate_required)'
device_configures plain bare 'tries = 2' 'backoff = 0' 'identity_key = file' 'credential_key = file' 'ek_certificate = none'
ends 'without a certificate, an operator is asked' 5 plain enrol
device_power_off plain

# --- a TPM without a resource manager, and no provider --------------------------------------------------

device_configures bare acme-edge9 'tries = 2' 'backoff = 0'
mkdir "$work/none"
OPENSSL_MODULES=$work/none
export OPENSSL_MODULES
ends 'without tpm2-openssl it enrols' 0 bare enrol
says 'and says why the key is in a file' 'the identity key cannot live in the TPM: tpm2-openssl is not installed; it is kept in a file'
ends 'it attests' 0 bare attest
same 'both keys are files' 'file file' "$(protections bare)"
same 'the gateway has seen no proof' 'unproven unproven' "$(known bare)"
device_configures bare acme-edge9 'tries = 2' 'backoff = 0' 'credential_key = tpm'
ends 'a key that has to be in the TPM and cannot' 7 bare attest
unset OPENSSL_MODULES
ends 'with tpm2-openssl it can' 0 bare attest
same 'the credential is in the TPM' 'file tpm' "$(protections bare)"
same 'with proof' 'unproven tpm' "$(known bare)"
nothing_is_left bare
device_configures bare acme-edge9 'tries = 2' 'backoff = 0' 'identity_key = tpm'
ends 'curl needs a resource manager for the identity' 7 bare enrol --again
says 'which is said' 'curl cannot use it'

# --- one with a resource manager, as the kernel has ------------------------------------------------------

abrmd=$root/.deps/abrmd/usr/sbin/tpm2-abrmd
tcti=$(find "$root/.deps/abrmd/usr/lib/" -name 'libtss2-tcti-tabrmd.so.0' 2>/dev/null | head -n 1)
if [ ! -x "$abrmd" ]; then
    abrmd=$(command -v tpm2-abrmd) || abrmd=''
    tcti=tabrmd
fi
if [ -z "$abrmd" ] || ! command -v dbus-daemon >/dev/null; then
    skip 'an identity key in the TPM' 'there is no tpm2-abrmd'
    finish
fi
cat >"$work/bus.conf" <<END
<busconfig><type>session</type><listen>unix:path=$work/bus</listen><policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
END
dbus-daemon --config-file="$work/bus.conf" --nofork >"$work/bus.log" 2>&1 &
started="$started $!"
must 'a bus is there' wait_for 10 test -S "$work/bus"
export DBUS_SESSION_BUS_ADDRESS="unix:path=$work/bus"
"$abrmd" --session --allow-root --tcti="swtpm:path=$work/edge/s" >"$work/abrmd.log" 2>&1 &
manager=$!
started="$started $manager"
managed() { TPM2TOOLS_TCTI=$tcti:bus_type=session tpm2 "$@"; }
must 'and a resource manager' wait_for 10 managed getcap properties-variable

configure() { # MODEL LINE...
    device_configures edge "$1" 'tries = 2' 'backoff = 0'
    sed "s|^tcti.*|tcti = $tcti:bus_type=session|" "$work/edge/client.conf" >"$work/managed.conf"
    shift
    printf '%s\n' "$@" >>"$work/managed.conf"
    mv "$work/managed.conf" "$work/edge/client.conf"
}

configure strict 'identity_key = file' 'credential_key = file'
ends 'a model that wants keys in the TPM takes none in a file' 8 edge enrol
says 'it says so' '(key_certification_required)'
says 'and what to do' 'Install tpm2-openssl'
configure strict
ends 'keys in the TPM it takes' 0 edge enrol
says 'which is said' 'key_protection: tpm$'
ends 'curl talks TLS with the key in the TPM' 0 edge attest
same 'both are there' 'tpm tpm' "$(protections edge)"
same 'and proven' 'tpm tpm' "$(known edge)"
claim 'no private key is in the files' sh -c '! cat "$1"/*/key.pem | grep -q -e "BEGIN PRIVATE" -e "BEGIN EC"' sh "$work/edge/state"
openssl pkey -in "$work/edge/state/credential/key.pem" -noout >/dev/null 2>&1
claim 'OpenSSL alone cannot read it' test $? -ne 0
claim 'programs use it with openssl.cnf' env TPM2OPENSSL_TCTI="$tcti:bus_type=session" OPENSSL_CONF="$work/edge/state/openssl.cnf" \
    openssl dgst -sha256 -sign "$work/edge/state/credential/key.pem" -out "$work/signature" "$work/bus.conf"
openssl x509 -in "$work/edge/state/credential/certificate.pem" -noout -pubkey >"$work/credential.pub"
claim "and sign with the certificate's key" openssl dgst -sha256 -verify "$work/credential.pub" -signature "$work/signature" "$work/bus.conf"
env TPM2OPENSSL_TCTI="swtpm:path=$work/bare/s" OPENSSL_CONF="$work/edge/state/openssl.cnf" openssl dgst -sha256 \
    -sign "$work/edge/state/credential/key.pem" -out "$work/signature" "$work/bus.conf" >/dev/null 2>&1
claim 'but not at another TPM' test $? -ne 0

configure strict 'credential_key_renewal = keep'
before=$(cat "$work/edge/state/credential/key.pem")
ends 'a key in the TPM can be kept' 0 edge attest
same 'it is' "$before" "$(cat "$work/edge/state/credential/key.pem")"
same 'and proven anew' 'tpm tpm' "$(known edge)"
configure strict 'credential_key = file'
ends 'a credential whose key is in a file is refused there' 8 edge attest
says 'it says so' '(key_certification_required)'
configure strict

# --- the handle that the certification takes for a moment --------------------------------------------------

occupy() {
    managed createprimary -Q -C o -G ecc -c "$work/any.ctx" && managed evictcontrol -Q -C o -c "$work/any.ctx" 0x81008002
}
must 'somebody uses the handle' occupy
ends 'then there is no proof' 8 edge attest
says 'and it says why' '0x81008002 is in use by another key'
claim "another's key is left alone" managed readpublic -c 0x81008002
# What a power cut left there has a note.
: >"$work/edge/state/tls-key-persistent"
ends 'what a power cut left there goes' 0 edge attest
claim 'the handle is free again' sh -c '! "$@"' sh env TPM2TOOLS_TCTI="$tcti:bus_type=session" tpm2 readpublic -c 0x81008002
stop_process $manager
nothing_is_left edge
ends 'without its TPM it cannot even talk' 7 edge attest
finish
