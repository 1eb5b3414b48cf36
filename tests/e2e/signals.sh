#!/bin/sh
# test: receivers are told of changes in trust, by push, by poll and by webhooks, also after a kill
cd "$(dirname "$0")" && . ./lib.sh

python=/usr/bin/python3
$python -c 'import ssl' 2>/dev/null || {
    skip 'events reach a receiver' 'python3 is not installed'
    finish
}
caep=https://schemas.openid.net/secevent/caep/event-type
ssf=https://schemas.openid.net/secevent/ssf/event-type

# --- a receiver --------------------------------------------------------------------------------------
# Keeps every request as $work/got/N.head and N.body, in the order in which they came, and answers with the
# status in $work/answer.status, after a pause of $work/answer.pause seconds.
mkdir "$work/got"
cat >"$work/receiver.py" <<'END'
import http.server, os, ssl, sys, time
work, scheme = sys.argv[1:3]
def say(name):
    with open(f"{work}/{name}") as f:
        return f.read().strip()
class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(float(say("answer.pause")))
        status = int(say("answer.status"))
        number = len(os.listdir(f"{work}/got")) // 2
        with open(f"{work}/got/{number:04}.body.new", "wb") as f:
            f.write(body)
        with open(f"{work}/got/{number:04}.head", "w") as f:
            f.write(f"{status} {self.path}\n{self.headers}")
        os.rename(f"{work}/got/{number:04}.body.new", f"{work}/got/{number:04}.body")
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *args):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
if scheme == "https":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{work}/receiver.pem", f"{work}/receiver.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
with open(f"{work}/receiver.port.new", "w") as f:
    f.write(str(server.server_port))
os.rename(f"{work}/receiver.port.new", f"{work}/receiver.port")
server.serve_forever()
END
receiver_is_up() { [ -s "$work/receiver.port" ]; }
a_receiver() { # SCHEME: leaves its port in $port
    rm -f "$work/receiver.port"
    $python "$work/receiver.py" "$work" "$1" 2>"$work/receiver.err" &
    receiver_pid=$!
    started="$started $receiver_pid"
    wait_for 10 receiver_is_up && port=$(cat "$work/receiver.port")
}
answers() { # STATUS PAUSE
    echo "$2" >"$work/answer.pause"
    echo "$1" >"$work/answer.status"
}
got() { find "$work/got" -name '*.body' | wc -l; }
forget() { rm -f "$work/got"/*; }

# split TOKEN: into $work/set.signed, set.sig, set.head, set.json
split() {
    $python - "$1" "$work/set" <<'END'
import base64, sys
token, out = open(sys.argv[1]).read(), sys.argv[2]
head, claims, sig = token.split(".")
def plain(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
open(out + ".signed", "w").write(head + "." + claims)
open(out + ".sig", "wb").write(plain(sig))
open(out + ".head", "wb").write(plain(head))
open(out + ".json", "wb").write(plain(claims))
END
}
verified() { # TOKEN: by openssl, with the key that was made at init
    split "$1" && openssl dgst -sha256 -verify "$work/events.pub" -signature "$work/set.sig" "$work/set.signed" &&
        jq -e '.alg == "RS256" and .typ == "secevent+jwt" and (.kid | length) > 0' "$work/set.head"
}
# in_all JQ: of the claims of every token that came, one a line
in_all() {
    for token in "$work/got"/*.body; do
        split "$token" && jq -c "$1" "$work/set.json"
    done
}
stream_seen() { call admin admin GET "/v1/streams/$stream" && field "$1"; }
stream_has() { [ "$(stream_seen "$1")" = "$2" ]; }

a_gateway edge
enrolled edge
openssl pkey -in "$gateway/ca/events.key" -pubout -out "$work/events.pub" 2>/dev/null
answers 202 0
must 'a receiver is there' a_receiver http

# --- what is refused ---------------------------------------------------------------------------------

call public - GET /.well-known/ssf-configuration
answered 'the transmitter says who it is' 200
same 'and where its streams are' true "$(field '.configuration_endpoint | endswith("/v1/ssf/streams")')"
jq -n --arg u "http://127.0.0.1:$port/" '{delivery: {method: "urn:ietf:rfc:8935", endpoint_url: $u}}' >"$work/body"
call proxy proxy POST /v1/ssf/streams "$work/body"
answered 'a receiver without TLS is refused' 400 invalid_field
jq -n --arg u "https://127.0.0.1:$port/" '{delivery: {method: "urn:ietf:rfc:8935", endpoint_url: $u}}' >"$work/body"
call proxy proxy POST /v1/ssf/streams "$work/body"
answered 'a receiver at a loopback address is refused' 422 receiver_refused
jq -n --arg u "https://localhost:$port/" '{method: "webhook", endpoint_url: $u}' >"$work/body"
call admin admin POST /v1/streams "$work/body"
answered 'a name may lead anywhere' 201
stream=$(field .id)
call admin admin POST "/v1/streams/$stream/verify" "$work/empty"
failed_once() { [ "$(stream_seen .failures)" != 0 ]; }
claim 'but is not connected to where it leads to a loopback address' wait_for 15 failed_once
same 'and the stream says why' 'receivers may not be at the address that this name leads to' "$(stream_seen .last_error)"
same 'the receiver has seen nothing' 0 "$(got)"

# --- push, with a receiver that is away --------------------------------------------------------------

gateway_stop TERM
export GATEHOUSE_SIGNALS_HTTP=yes GATEHOUSE_SIGNALS_ALLOW_RECEIVERS=127.0.0.1
must 'it starts, with loopback receivers' gateway_start
answers 503 0
jq -n --arg u "http://127.0.0.1:$port/push" --arg c "$caep" '{description: "the SIEM",
    events_requested: [$c + "/device-compliance-change", $c + "/credential-change"],
    delivery: {method: "urn:ietf:rfc:8935", endpoint_url: $u, authorization_header: "Bearer hunter2"}}' >"$work/body"
call proxy proxy POST /v1/ssf/streams "$work/body"
answered 'a stream by push is made' 201
stream=$(field .stream_id)
call proxy proxy POST /v1/ssf/streams "$work/empty"
answered 'and one by poll' 201
polled=$(field .stream_id)
jq -n --arg s "$polled" --arg c "$caep" '{stream_id: $s, events_requested: [$c + "/device-compliance-change"]}' >"$work/body"
call proxy proxy PATCH /v1/ssf/streams "$work/body"
answered 'which is told of compliance alone' 200
from=$(stream_seen .position)
for round in 1 2 3 4; do
    device_attests edge
    answered "the device attests ($round)" 201
done
jq -n '{reason: "lost"}' >"$work/body"
call admin admin POST "/v1/devices/$(cat "$work/edge/id")/quarantine" "$work/body"
answered 'the device is quarantined' 200
# Four credentials, all of them revoked, and the one from before too; and the device.
expected=$(sqlite3 "$gateway/gatehouse.db" "SELECT count(*) FROM trust_change WHERE seq > $from AND change IN (1, 2, 3)")
claim 'there is something to tell' test "$expected" -ge 9
claim 'the receiver is tried' wait_for 15 failed_once
gateway_stop KILL
same 'the receiver took nothing yet' '' "$(grep -l '^202' "$work/got"/*.head 2>/dev/null)"
forget
answers 202 0.3
must 'it starts after a kill with a full outbox' gateway_start
some() { [ "$(got)" -ge 3 ]; }
must 'some of it is delivered' wait_for 20 some
gateway_stop KILL
answers 202 0
must 'it starts after another kill' gateway_start
all_told() { [ "$(stream_seen .position)" -ge "$((from + expected))" ] && stream_has .failures 0; }
must 'the rest is delivered' wait_for 30 all_told
same 'nothing is lost' "$expected" "$(in_all .jti | sort -u | wc -l)"
same 'what came twice says so by its name: one name, one event' "$expected" "$(in_all '[.jti, .events]' | sort -u | wc -l)"
in_all .jti | awk '!seen[$0]++' >"$work/first"
sort -t. -k2n "$work/first" >"$work/sorted"
claim 'in order' cmp "$work/first" "$work/sorted"
for token in "$work/got"/*.body; do
    verified "$token" >/dev/null || not_ok 'every token verifies' "$token"
done
claim 'a token verifies' verified "$work/got/0000.body"
claim 'a changed one does not' sh -c "sed 's/\$/x/' '$work/set.signed' >'$work/set.changed'; ! openssl dgst -sha256 -verify '$work/events.pub' -signature '$work/set.sig' '$work/set.changed'"
same 'it is from the gateway' "$(sed -n 's/^trust_domain = /https:\/\//p' "$gateway/gatehouse.ini")" "$(in_all .iss | sort -u | tr -d '"')"
same 'credentials were given and revoked' '["create","revoke"]' \
    "$(in_all ".events.\"$caep/credential-change\".change_type // empty" | jq -cs unique)"
same 'the device is not compliant any more' '"compliant not-compliant"' \
    "$(in_all ".events.\"$caep/device-compliance-change\" // empty | \"\(.previous_status) \(.current_status)\"" | sort -u)"
claim 'with the header that was asked for' grep -q '^Authorization: Bearer hunter2' "$work/got/0000.head"
claim 'of this type' grep -q '^Content-Type: application/secevent+jwt' "$work/got/0000.head"
same 'the secret is in no log' '' "$(grep -l hunter2 "$log")"

# --- poll --------------------------------------------------------------------------------------------

jq -n '{returnImmediately: true}' >"$work/body"
call proxy proxy POST "/v1/ssf/poll/$polled" "$work/body"
answered 'the other stream is polled' 200
same 'and has the one event' 1 "$(field '.sets | length')"
jti=$(field '.sets | keys[0]')
field '.sets[]' | tr -d '\n' >"$work/token"
claim 'which verifies' verified "$work/token"
jq -n --arg j "$jti" '{returnImmediately: true, ack: [$j]}' >"$work/body"
call proxy proxy POST "/v1/ssf/poll/$polled" "$work/body"
same 'acknowledged, it does not come again' 0 "$(field '.sets | length')"
gateway_stop KILL
must 'it starts once more' gateway_start
jq -n '{returnImmediately: true}' >"$work/body"
call proxy proxy POST "/v1/ssf/poll/$polled" "$work/body"
same 'not after a kill either' 0 "$(field '.sets | length')"

# --- verification, webhooks, TLS ---------------------------------------------------------------------

forget
jq -n --arg s "$stream" '{stream_id: $s, state: "a nonce"}' >"$work/body"
call proxy proxy POST /v1/ssf/verify "$work/body"
answered 'a verification is asked for' 204
one() { [ "$(got)" -ge 1 ]; }
must 'and comes' wait_for 10 one
same 'with its state' '"a nonce"' "$(in_all ".events.\"$ssf/verification\".state")"
call proxy proxy DELETE "/v1/ssf/streams?stream_id=$stream"
answered 'the stream is removed' 204
forget
jq -n --arg u "http://127.0.0.1:$port/hook" '{method: "webhook", endpoint_url: $u}' >"$work/body"
call admin admin POST /v1/streams "$work/body"
answered 'a webhook is made' 201
stream=$(field .id) secret=$(field .secret)
call admin admin POST "/v1/devices/$(cat "$work/edge/id")/release" "$work/empty"
answered 'the device is released' 200
must 'the webhook comes' wait_for 10 one
signature=$(sed -n 's/^Gatehouse-Signature: //p' "$work/got/0000.head" | tr -d '\r')
time=${signature%%,*}
wanted=$({ printf '%s.' "${time#t=}"; cat "$work/got/0000.body"; } | openssl dgst -sha256 -hmac "$secret" | sed 's/.*= //')
same 'its signature is the HMAC of time and body' "v1=$wanted" "${signature#*,}"
same 'its name is that of the event' "$(jq -r .id "$work/got/0000.body")" \
    "$(sed -n 's/^Gatehouse-Delivery: //p' "$work/got/0000.head" | tr -d '\r')"

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=receiver -days 2 \
    -addext subjectAltName=IP:127.0.0.1 -keyout "$work/receiver.key" -out "$work/receiver.pem" 2>/dev/null
forget
must 'a receiver with TLS is there' a_receiver https
jq -n --arg u "https://127.0.0.1:$port/hook" '{method: "webhook", endpoint_url: $u}' >"$work/body"
call admin admin POST /v1/streams "$work/body"
answered 'a webhook over TLS is made' 201
stream=$(field .id)
call admin admin POST "/v1/streams/$stream/verify" "$work/empty"
claim 'whose certificate nobody vouches for is not spoken to' wait_for 15 failed_once
same 'it has seen nothing' 0 "$(got)"
gateway_stop TERM
export GATEHOUSE_SIGNALS_CA="$work/receiver.pem"
must 'it starts with the authority of the receiver' gateway_start
claim 'and the event comes over TLS' wait_for 20 one
gateway_stop TERM
claim 'a gateway that is asked to stop does' ended "$gateway_pid"
finish
