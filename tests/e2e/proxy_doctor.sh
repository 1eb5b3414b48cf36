#!/bin/sh
# test: gatehouse doctor finds what is wrong with a proxy: nginx, with one line after another spoilt
cd "$(dirname "$0")" && . ./lib.sh
# shellcheck source=tests/e2e/proxy_lib.sh
. ./tests/e2e/proxy_lib.sh

if ! proxy_program nginx >/dev/null; then
    skip 'gatehouse doctor finds what is wrong' 'there is no nginx: make deps brings it'
    finish
fi
a_gateway edge lost
enrolled edge lost
must 'edge has a credential' credential edge
must 'lost has one' credential lost
must 'which is revoked' revoked lost
must 'the application' application_start
must 'nginx is registered' proxy_registered nginx nginx
port=$(free_port)
# shellcheck disable=SC2046 # words
proxy_config nginx "$port" $(proxy_identity nginx) >"$work/sound.conf"

# doctor [OPTION...]: what it says is in $said, its exit status in $ended.
said=$work/said
doctor() {
    ended=0
    "$gatehouse" doctor --proxy "https://localhost:$port/page" --ca "$work/server-ca.pem" --kind nginx "$@" \
        >"$said" 2>"$work/doctor.err" || ended=$?
}
identity() { printf '%s\n' --cert "$work/edge-credential.pem" --key "$work/edge-credential.key"; }
other() { printf '%s\n' --refused-cert "$work/lost-credential.pem" --refused-key "$work/lost-credential.key"; }

# finds TEXT WORDS OPTION...: exit status 3, and a line of these words.
finds() {
    text=$1 words=$2
    shift 2
    doctor "$@"
    if [ $ended = 3 ] && grep -q "^WRONG .*$words" "$said"; then
        ok "$text"
    else
        not_ok "$text" "ended with $ended, looking for: $words" "$(cat "$said" "$work/doctor.err")"
    fi
}

# with SED-SCRIPT...: nginx with that done to the configuration.
with() {
    [ -z "${proxy_pid-}" ] || stop_process "$proxy_pid"
    sed "$@" "$work/sound.conf" >"$work/spoilt.conf"
    must "nginx runs with $*" proxy_start nginx "$port" "$work/spoilt.conf"
}

with ''
# shellcheck disable=SC2046 # words
doctor $(identity) $(other) --echo /echo
same 'a sound proxy: nothing is wrong' 0 "$ended"
claim 'each probe has its line' test "$(grep -c '^ok ' "$said")" -ge 23
claim 'what it leaves open is said' grep -q '^not checked .*gateway is stopped' "$said"
# shellcheck disable=SC2046 # words
doctor $(identity)
same 'without an echo path it looks at what it can' 0 "$ended"
claim 'and says how to look at the rest' grep -q '^not checked .*--echo' "$said"
ended=0
# shellcheck disable=SC2046 # words
"$gatehouse" doctor --proxy https://localhost/page --connect "127.0.0.1:$port" --ca "$work/server-ca.pem" $(identity) >"$said" 2>&1 || ended=$?
same 'told where to connect, it goes there' 0 "$ended"
doctor
same 'without a credential, at what it can' 0 "$ended"
claim 'and what it takes' grep -q '^not checked .*--cert' "$said"
# shellcheck disable=SC2046 # words
finds 'an allowed credential given as one to be refused is found' 'with the certificate to be refused: 200' $(identity) \
    --refused-cert "$work/edge-credential.pem" --refused-key "$work/edge-credential.key"

with -e 's/auth_request /#&/' -e 's/ssl_verify_client on/ssl_verify_client optional/'
finds 'a proxy that lets in without a certificate' 'without a client certificate: 200'
claim 'it says what that means' grep -q 'means: .*anybody' "$said"
claim 'and which setting of nginx changes it' grep -q 'change: .*ssl_verify_client on' "$said"
with -e 's/auth_request /#&/'
# shellcheck disable=SC2046 # words
finds 'a proxy that does not ask' 'with the certificate to be refused: 200' $(identity) $(other)
# shellcheck disable=SC2046 # words
finds 'and does not say which device it is' "the device's headers reach" $(identity) --echo /echo
with -e '/proxy_pass_request_headers off/d' -e '/proxy_set_header X-SSL-Client-[CV][a-z]* \$ssl/d' -e 's/ssl_verify_client on/ssl_verify_client optional/'
# shellcheck disable=SC2046 # words
finds 'a proxy that believes a certificate in a header' 'in a header, X-SSL-Client-Cert: 200' $(identity)
claim 'and no other header than that' test "$(grep -c '^WRONG .*in a header' "$said")" -le 2
# shellcheck disable=SC2046 # words
finds 'also of one who has a certificate that is refused' 'to be refused and .* X-SSL-Client-Cert: 200' $(identity) $(other)
with -e '/proxy_set_header X-Device-Tier/d'
# shellcheck disable=SC2046 # words
finds 'one header of the device that is not set' "own X-Device headers" $(identity) --echo /echo
with -e 's/underscores_in_headers off/underscores_in_headers on/'
# shellcheck disable=SC2046 # words
finds 'headers with underscores that pass' "own X-Device headers" $(identity) --echo /echo
with -e '/proxy_set_header Client-Cert /d'
# shellcheck disable=SC2046 # words
finds 'a certificate header of the client that passes' "own certificate headers" $(identity) --echo /echo
with -e "s|server_name localhost;|&\\n error_page 500 502 504 = @open;\\n location @open { proxy_pass http://gatehouse_application; }|"
gateway_stop
# shellcheck disable=SC2046 # words
finds 'a proxy that opens when the gateway is gone' 'the gateway is stopped' $(identity) --gateway-stopped
with ''
# shellcheck disable=SC2046 # words
doctor $(identity) --gateway-stopped
same 'one that closes is well' 0 "$ended"
# shellcheck disable=SC2046 # words
finds 'a credential that does not pass though it should' 'a good credential passes: 500' $(identity) --echo /echo

# --- what it cannot do -----------------------------------------------------------------------------------

stop_process "$proxy_pid"
doctor
same 'nobody there: it says so and ends with 1' 1 "$ended"
claim 'and reports nothing' test ! -s "$said"
claim 'but why' grep -q '^gatehouse doctor: https://localhost' "$work/doctor.err"
for wrong in '--proxy http://localhost/' '--proxy https://localhost/ --kind apache' '--proxy https://localhost/ --gateway-stopped' \
    '--proxy https://localhost/ --cert /nowhere --key /nowhere' '--proxy https://localhost/ --echo page' \
    '--proxy https://localhost/ --connect localhost' '--proxy localhost'; do
    # shellcheck disable=SC2086 # words
    "$gatehouse" doctor $wrong >"$said" 2>&1
    same "doctor $wrong fails" 1 $?
done
for wrong in '' '--proxy' '--proxy https://localhost/ --cert x' '--proxy https://localhost/ --refused-key x' \
    '--proxy https://localhost/ --proxy https://localhost/' '--nonsense x' '--proxy https://localhost/ --gateway-stopped --gateway-stopped'; do
    # shellcheck disable=SC2086 # words
    "$gatehouse" doctor $wrong >"$said" 2>&1
    same "doctor $wrong is wrong use" 2 $?
done
finish
