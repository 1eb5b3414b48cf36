#!/bin/sh
# test: a device that comes with its maker's certificate: registered, trusted, and shut out again
cd "$(dirname "$0")" && . ./lib.sh

a_gateway edge
maker=$work/maker
mkdir -p "$maker"

# authority NAME ISSUER: a CA by ISSUER, or by itself when that is its own name.
authority() {
    printf 'basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign\n' >"$maker/ca.ext"
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/O=Maker/CN=$1" \
        -keyout "$maker/$1.key" -out "$maker/ca.csr" 2>/dev/null || return 1
    if [ "$1" = "$2" ]; then
        set -- "$1" -signkey "$maker/$1.key"
    else
        set -- "$1" -CA "$maker/$2.pem" -CAkey "$maker/$2.key"
    fi
    made=$1
    shift
    openssl x509 -req -in "$maker/ca.csr" "$@" -set_serial "0x01$(openssl rand -hex 8)" -days 30 -extfile "$maker/ca.ext" \
        -out "$maker/$made.pem" 2>/dev/null
}

# factory NAME SERIAL-NUMBER ISSUER [KEY]: a device's certificate as $work/NAME.pem with its issuer after it; its key
# is $work/NAME.key, made unless KEY names another's.
factory() {
    printf 'basicConstraints = critical, CA:FALSE\nkeyUsage = critical, digitalSignature\n' >"$maker/device.ext"
    if [ -n "${4-}" ]; then
        cp "$work/$4.key" "$work/$1.key"
    else
        openssl ecparam -name prime256v1 -genkey -noout -out "$work/$1.key" || return 1
    fi
    openssl req -new -key "$work/$1.key" -subj "/O=Maker/CN=unit/serialNumber=$2" -out "$maker/device.csr" 2>/dev/null &&
        openssl x509 -req -in "$maker/device.csr" -CA "$maker/$3.pem" -CAkey "$maker/$3.key" -days 30 \
            -set_serial "0x01$(openssl rand -hex 8)" -extfile "$maker/device.ext" -out "$work/$1.pem" 2>/dev/null &&
        cp "$work/$1.pem" "$work/$1.leaf.pem" && cat "$maker/$3.pem" >>"$work/$1.pem"
}

# trusts MODEL FILE...: the certificates become anchors of the model for factory certificates.
trusts() {
    model=$1
    shift
    cat "$@" | jq -R -s '{certificates: .}' >"$work/body"
    call admin admin POST "/v1/models/$model/idevid-trust" "$work/body"
}

# registers CERTIFICATE MODEL DEVICE: by its factory certificate and the AK of the device's TPM.
registers() {
    jq -n --arg model "$2" --rawfile pem "$work/$1.pem" --arg ak "$(b64 "$work/$3/ak.pub")" \
        '{model: $model, idevid_certificate: $pem, ak_public: $ak}' >"$work/body"
    call admin admin POST /v1/devices "$work/body"
}

# kept_out TEXT PLANE NAME: the handshake fails.
kept_out() {
    call "$2" "$3" GET /v1/self
    same "$1" 000 "$status"
}

must 'a maker' authority root root
must 'its factory' authority factory root
must 'another maker' authority stranger stranger
must 'a certificate of the factory' factory edge SN-1 factory
must "another device's" factory sibling SN-2 factory
must "the device's key under another serial number" factory renamed SN-3 factory edge
must "a stranger's, in its name" factory forged SN-1 stranger edge

# --- registration ------------------------------------------------------------------------------------

registers edge acme-edge9 edge
answered 'a model that trusts no maker takes no factory certificate' 422 idevid_untrusted
trusts acme-edge9 "$maker/root.pem"
answered 'the maker is trusted' 201
same 'as an anchor' anchor "$(field '.items[0].kind')"
registers forged acme-edge9 edge
answered "a stranger's certificate is refused" 422 idevid_untrusted
kept_out 'before it is registered the device is kept out' device edge
registers edge acme-edge9 edge
answered 'the device is registered by its factory certificate' 201
same 'and enrolled' 'enrolled idevid SN-1' "$(field '"\(.state) \(.identity_kind) \(.idevid.serial_number)"')"
id=$(field .id)
same 'its id is that of its key' "$(openssl pkey -in "$work/edge.key" -pubout -outform DER | sha256sum | cut -c 1-32)" "$id"
registers edge acme-edge9 edge
answered 'once' 409 ak_in_use

# --- on the device plane -----------------------------------------------------------------------------

call device edge GET /v1/self
answered 'it speaks to the device plane' 200
same 'as itself' "$id" "$(field .device_id)"
device_attests edge
answered 'it is trusted by its evidence' 201
same 'and has a credential' trusted "$(field .verdict)"
call proxy proxy GET "/v1/decisions/$id"
same 'which lets it pass' 'allow' "$(field .decision)"

kept_out "another device's certificate is kept out" device sibling
kept_out "its key under another serial number is kept out" device renamed
kept_out "a stranger's certificate is kept out" device forged
cp "$work/edge.leaf.pem" "$work/alone.pem"
cp "$work/edge.key" "$work/alone.key"
kept_out 'without its intermediate it is kept out' device alone
kept_out 'the admin plane keeps it out' admin edge
kept_out 'the proxy plane keeps it out' proxy edge
trusts acme-edge9 "$maker/factory.pem"
answered 'the intermediate is added' 201
same 'as an intermediate' intermediate "$(field '.items[0].kind')"
call device alone GET /v1/self
answered 'then the leaf alone does' 200

# --- a device that has its certificate and nothing else ----------------------------------------------

# proves NAME [JQ]: a challenge, and nonce and csr as evidence, changed by JQ.
proves() {
    call device "$1" POST /v1/challenges "$work/empty"
    nonce=$(field .nonce)
    openssl req -new -key "$work/$1.key" -subj / -outform DER -out "$maker/proof.csr" 2>/dev/null
    jq -n --arg nonce "$nonce" --arg csr "$(b64 "$maker/proof.csr")" "{nonce: \$nonce, csr: \$csr}${2:+ | $2}" >"$work/body"
    call device "$1" POST /v1/evidence "$work/body"
}

# standing ID: what a proxy is told.
standing() {
    call proxy proxy GET "/v1/decisions/$1"
    field '"\(.decision) \(.reason) \(.tier) \(.segment)"'
}

must "an old device's certificate" factory old SN-4 factory
jq -n --rawfile pem "$work/old.pem" '{model: "acme-edge9", idevid_certificate: $pem}' >"$work/old.json"
call admin admin POST /v1/devices "$work/old.json"
answered 'a model of measured devices takes none that cannot quote' 400 missing_field
jq -n '{credential_tier: "identified", segments: {measured: "corp", identified: "legacy"}}' >"$work/body"
call admin admin PUT /v1/models/acme-edge9 "$work/body"
answered 'the model takes what is identified' 200
call admin admin POST /v1/devices "$work/old.json"
answered 'then the device is registered without an AK' 201
old=$(field .id)
same 'and not appraised yet' 'deny not_appraised none null' "$(standing "$old")"
proves old '.tpm2 = null'
answered 'it sends nothing in place of a quote' 400 invalid_field
proves edge
answered 'one with an AK does not leave its quote out' 400 missing_field
same 'and stays what it was' 'allow trusted measured corp' "$(standing "$id")"
proves old
answered 'the device proves who it is' 201
same 'and is identified' 'trusted identified legacy' "$(field '"\(.verdict) \(.tier) \(.segment)"')"
same 'its certificate says so' 'OU=identified,O=legacy' "$(field .credential.certificate |
    openssl x509 -noout -subject -nameopt RFC2253 | sed 's/^subject=//; s/^CN=[0-9a-f]*,//')"
appraisal=$(field .appraisal_id)
call admin admin GET "/v1/appraisals/$appraisal"
same 'the appraisal says that nothing is known' 'null no_evidence info' \
    "$(field '"\(.facts) \(.findings[0].code) \(.findings[0].severity)"')"
same 'the decision is of its tier' 'allow trusted identified legacy' "$(standing "$old")"
gateway_stop KILL
must 'the gateway starts again' gateway_start
same 'a restart changes nothing' 'allow trusted identified legacy' "$(standing "$old")"
echo '{"credential_tier": "measured"}' >"$work/body"
call admin admin PUT /v1/models/acme-edge9 "$work/body"
same 'the model asks for more, which counts at once' 'deny tier_too_low identified null' "$(standing "$old")"
proves old
answered 'and it gets nothing' 403 tier_too_low

# --- and shut out again ------------------------------------------------------------------------------

anchor=$(openssl x509 -in "$maker/root.pem" -outform DER | sha256sum | cut -d ' ' -f 1)
call admin admin DELETE "/v1/models/acme-edge9/idevid-trust/$anchor"
answered 'the anchor is removed' 204
kept_out 'nothing is left to trust' device edge
trusts acme-edge9 "$maker/root.pem"
call device edge GET /v1/self
answered 'with it the device is back' 200
printf '{"reason":"sold"}' >"$work/body"
call admin admin POST "/v1/devices/$id/retire" "$work/body"
answered 'the device is retired' 200
kept_out 'and kept out' device edge
call proxy proxy GET "/v1/decisions/$id"
same 'its credential is worth nothing' deny "$(field .decision)"

finish
