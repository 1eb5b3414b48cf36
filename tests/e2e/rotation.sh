#!/bin/sh
# test: the access authority rolls over, and no valid credential is refused meanwhile
cd "$(dirname "$0")" && . ./lib.sh

socket=$work/proxy.sock
export GATEHOUSE_PROXY_LISTEN="127.0.0.1:0,unix:$socket" GATEHOUSE_PROXY_UNIX_DIALECT=rfc9440
a_gateway edge other
enrolled edge other
ini=$gateway/gatehouse.ini
list=$gateway/ca/access.epochs

bundle() { # FILE: what proxies take
    call public - GET /v1/ca/access.pem
    cp "$answer" "$1"
}
certificates() { grep -c 'BEGIN CERTIFICATE' "$1"; }
bundle_has() { # NUMBER
    bundle "$work/bundle.pem"
    [ "$(certificates "$work/bundle.pem")" = "$1" ]
}
attests() { # DEVICE FILE: a fresh credential
    device_attests "$1"
    [ "$status" = 201 ] || return 1
    field .credential.certificate >"$2"
}
signed_by() { openssl x509 -in "$1" -noout -issuer; } # FILE
holds() { # FILE BUNDLE: as a proxy verifies it
    openssl verify -purpose sslclient -CAfile "$2" "$1" >/dev/null
}
authorized() { # FILE: the status that a proxy gets which passes it on
    curl -s -o /dev/null -w '%{http_code}' --unix-socket "$socket" http://localhost/v1/authorize \
        -H "Client-Cert: :$(openssl x509 -in "$1" -outform DER | openssl base64 -A):"
}
passes() { # FILE: by the decision about this very certificate, and by forward authentication
    jq -n --arg c "$(openssl x509 -in "$1" -outform DER | sha256sum | cut -d ' ' -f 1)" \
        '{subjects: [{certificate_sha256: $c}]}' >"$work/body"
    call proxy proxy POST /v1/decisions "$work/body"
    [ "$(field '.decisions[0].decision')" = allow ] && [ "$(authorized "$1")" = 200 ]
}
reloads() { # how often it said so
    grep -c "\"event\":\"$1\"" "$log"
}
reload() { # EVENT: how it ends
    before=$(reloads "$1")
    kill -HUP "$gateway_pid"
    wait_for 15 sh -c '[ "$(grep -c "\"event\":\"$1\"" "$2")" -gt "$3" ]' sh "$1" "$log" "$before"
}
audited() { # of the changes of authorities
    call admin admin GET '/v1/audit?limit=1000'
    field "[.items[] | select(.action == \"authorities.change\")] | $1"
}
signer_pid() {
    keeper=$(awk '{ print $1 }' "/proc/$gateway_pid/task/$gateway_pid/children")
    awk '{ print $1 }' "/proc/$keeper/task/$keeper/children"
}

# --- before -------------------------------------------------------------------------------------------

bundle "$work/first.pem"
answered 'the authorities are public' 200
etag=$(sed -n 's/^[Ee][Tt]ag: *\([^\r]*\).*/\1/p' "$headers")
code=$(curl -s -o /dev/null -w '%{http_code}' -H "If-None-Match: $etag" \
    "http://127.0.0.1:$(port_of public)/v1/ca/access.pem")
same 'who has them already is told so' 304 "$code"
same 'there is one' 1 "$(certificates "$work/first.pem")"
must 'a credential of the old one' attests edge "$work/old.pem"
claim 'it passes' passes "$work/old.pem"

# --- introduced ---------------------------------------------------------------------------------------

claim 'gatehouse ca rotate' "$gatehouse" ca rotate --config "$ini" --overlap 8s --retire-after 2h
claim 'it is not done twice' sh -c '! "$1" ca rotate --config "$2"' sh "$gatehouse" "$ini"
before=$(signer_pid)
must 'the gateway takes the list' reload reloaded
claim 'with another signer' [ "$(signer_pid)" != "$before" ]
claim 'both are published' bundle_has 2
cp "$work/bundle.pem" "$work/overlap.pem"
call public - GET /v1/ca/access.pem
claim 'which shows in the ETag' sh -c '! grep -qF "$1" "$2"' sh "$etag" "$headers"
same 'the audit log says so' 'signing,coming' "$(audited '.[-1].after.access | map(.state) | join(",")')"

turn=$(date -d "$("$gatehouse" ca show --config "$ini" | awk -F'\t' '$2 == "coming" { print $4 }')" +%s)
early=0 refused=0 late=0
while [ "$(date +%s)" -le "$turn" ] || [ $late -eq 0 ]; do
    [ "$(date +%s)" -lt $((turn + 30)) ] || break
    attests edge "$work/now.pem" || { refused=$((refused + 1)); continue; }
    if [ "$(signed_by "$work/now.pem")" = "$(signed_by "$work/old.pem")" ]; then
        early=$((early + 1))
    else
        late=$((late + 1))
        [ "$(date +%s)" -ge "$turn" ] || not_ok 'the new one signs before its time'
    fi
    for credential in old now; do
        passes "$work/$credential.pem" && holds "$work/$credential.pem" "$work/overlap.pem" ||
            refused=$((refused + 1))
    done
done
claim 'until its time has come, the old one signs' [ $early -gt 0 ]
claim 'then the new one does, by itself' [ $late -gt 0 ]
same 'no valid credential is refused, before, during and after' 0 $refused
claim 'a credential comes with the authority that signed it' sh -c \
    'awk "/BEGIN/ { n++ } n == 2" "$1" >"$2" && openssl verify -CAfile "$2" "$1"' sh "$work/now.pem" "$work/issuer.pem"
wait_for 15 sh -c 'grep -q "\"event\":\"access_authority\".*\"past\"" "$1"' sh "$log"
same 'the turn is in the audit log' 'signing,past' "$(audited '.[-1].after.access | map(.state) | join(",")')"
claim 'both stay published' bundle_has 2
same 'the new one first' "$(signed_by "$work/now.pem" | sed 's/^issuer=//')" \
    "$(openssl x509 -in "$work/bundle.pem" -noout -subject | sed 's/^subject=//')"

# --- what cannot be read ------------------------------------------------------------------------------

cp "$list" "$work/list"
echo nonsense >"$list"
must 'a reload of a broken list fails' reload reload_failed
claim 'and says why' grep -q 'access.epochs: line 1' "$log"
claim 'what was in force signs on' attests edge "$work/now.pem"
claim 'and is published' bundle_has 2
cp "$work/list" "$list"
new_key=$(awk 'END { print $1 }' "$list")
mv "$gateway/ca/$new_key" "$work/kept.key"
must 'a reload without the key fails' reload reload_failed
claim 'credentials are issued still' attests edge "$work/now.pem"
mv "$work/kept.key" "$gateway/ca/$new_key"
must 'then it is well again' reload reloaded

# --- retired ------------------------------------------------------------------------------------------

# As if the hours had gone by: the old one is retired in a moment.
moment=$(date -u -d "@$(($(date +%s) + 4))" +%Y-%m-%dT%H:%M:%SZ)
awk -v moment="$moment" '$5 ~ /^2/ { $5 = moment } { print }' "$list" >"$work/list"
cat "$work/list" >"$list"
must 'the list is taken' reload reloaded
claim 'the old one is retired by itself' wait_for 20 bundle_has 1
claim 'its credentials no longer hold where the bundle counts' sh -c '! openssl verify -CAfile "$1" "$2"' sh \
    "$work/bundle.pem" "$work/old.pem"
same 'nor where it is asked for' 403 "$(authorized "$work/old.pem")"
claim 'those of the new one do' holds "$work/now.pem" "$work/bundle.pem"
claim 'and pass' passes "$work/now.pem"
wait_for 15 sh -c '[ "$(grep -c "\"event\":\"access_authority\".*\"signing\"" "$1")" -ge 3 ]' sh "$log"
same 'the audit log says so' signing "$(audited '.[-1].after.access | map(.state) | join(",")')"
rm "$gateway/ca/access.key"
claim 'its key may go' reload reloaded

# --- a restart, and a stolen key ----------------------------------------------------------------------

gateway_stop
must 'it starts again' gateway_start
claim 'and issues by the list' attests other "$work/fresh.pem"
same 'of the same authority' "$(signed_by "$work/now.pem")" "$(signed_by "$work/fresh.pem")"
claim 'gatehouse ca rotate --emergency' "$gatehouse" ca rotate --config "$ini" --emergency
must 'the gateway takes it' reload reloaded
claim 'nobody else is published' bundle_has 1
claim 'what was issued before no longer holds' sh -c '! openssl verify -CAfile "$1" "$2"' sh "$work/bundle.pem" \
    "$work/fresh.pem"
same 'and is refused' 403 "$(authorized "$work/fresh.pem")"
must 'a device attests again' attests other "$work/fresh.pem"
claim 'and its credential holds' holds "$work/fresh.pem" "$work/bundle.pem"
claim 'and passes' passes "$work/fresh.pem"
claim 'the audit log is whole' "$gatehouse" audit verify --config "$ini" --authority "$gateway/ca/identity.pem"
finish
