# shellcheck shell=sh disable=SC2034 # what is set here is used by who sources it
# gateway.sh: a gateway in $work/gateway and calls of its API with curl, for the demo and the end-to-end
# tests, to be sourced after device.sh. $gatehouse is the program.
: "${gatehouse:?the program}" "${work:?the folder to work in}" "${demo:?the folder of this file}"

gateway=$work/gateway
log=$work/gateway.log
gateway_pid=''
status=''
unset GATEHOUSE_DATA # the tests' own: the gateway takes every GATEHOUSE_ for a setting
echo '{}' >"$work/empty"

# gateway_init VENDOR [OPTION...]: authorities, server certificate, an operator with the role admin, a proxy, and a
# configuration that trusts the vendor's endorsement keys and takes free loopback ports.
gateway_init() {
    vendor_bundle "$1" >"$work/ek-trust.pem" || return 1
    shift
    "$gatehouse" init "$gateway" --listen 127.0.0.1:0 --ek-trust "$work/ek-trust.pem" "$@" >"$work/init.out" 2>&1 || return 1
    rm -f "$work/second.pem" # of a gateway before
    cp "$gateway/admin.pem" "$gateway/admin.key" "$gateway/proxy.pem" "$gateway/proxy.key" "$work/"
    cp "$gateway/ca/server.pem" "$work/server-ca.pem"
}

# gateway_start: serves until gateway_stop. Settings of the environment hold: GATEHOUSE_SECTION_KEY=value.
gateway_start() {
    rm -f "$work/ports"
    "$gatehouse" serve --config "$gateway/gatehouse.ini" --ports-file "$work/ports" 2>>"$log" &
    gateway_pid=$!
    started="$started $gateway_pid"
    wait_for 20 gateway_listens && [ -s "$work/ports" ]
}

gateway_listens() {
    [ -s "$work/ports" ] || ended "$gateway_pid"
}

port_of() { sed -n "s/^$1 //p" "$work/ports"; }

gateway_stop() { # [SIGNAL]
    kill "-${1:-TERM}" "$gateway_pid" 2>/dev/null || :
    wait_for 15 ended "$gateway_pid"
    stop_process "$gateway_pid"
}

# call PLANE AS METHOD PATH [BODY-FILE]: one request with the certificate of AS ($work/AS.pem and AS.key; "-"
# shows none). Leaves the HTTP status in $status (000: no answer at all), the body in $answer, headers in
# $headers, and what the request was in $called.
answer=$work/answer
headers=$work/headers
call() {
    case $1 in public) call_url=http ;; *) call_url=https ;; esac
    call_url=$call_url://127.0.0.1:$(port_of "$1")$4
    call_as=$2 called="$3 $call_url" call_body=${5-}
    set -- -sS --max-time 30 -o "$answer" -D "$headers" -w '%{http_code}' -X "$3" --cacert "$work/server-ca.pem"
    [ "$call_as" = - ] || set -- "$@" --cert "$work/$call_as.pem" --key "$work/$call_as.key"
    [ -z "$call_body" ] || set -- "$@" -H 'Content-Type: application/json' -H 'Expect:' --data-binary "@$call_body"
    : >"$answer"
    : >"$headers"
    status=$(curl "$@" "$call_url" 2>"$work/curl.err") || :
}

# field JQ: of the last answer.
field() { jq -r "$1" "$answer" 2>/dev/null; }

# gateway_certifies NAME AUTHORITY: a client certificate by operators or proxies, as $work/NAME.pem and NAME.key.
gateway_certifies() {
    printf 'basicConstraints = critical, CA:FALSE\nkeyUsage = critical, digitalSignature\nextendedKeyUsage = clientAuth\n' \
        >"$work/client.ext"
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$1" -keyout "$work/$1.key" \
        -out "$work/$1.csr" 2>/dev/null &&
        openssl x509 -req -in "$work/$1.csr" -CA "$gateway/ca/$2.pem" -CAkey "$gateway/ca/$2.key" \
            -set_serial "0x01$(openssl rand -hex 8)" -days 30 -extfile "$work/client.ext" -out "$work/$1.pem" 2>/dev/null
}

# gateway_operator NAME ROLE: another operator.
gateway_operator() {
    gateway_certifies "$1" operators || return 1
    jq -n --arg name "$1" --arg role "$2" --rawfile pem "$work/$1.pem" '{name: $name, role: $role, certificate: $pem}' >"$work/body"
    call admin admin POST /v1/operators "$work/body"
    [ "$status" = 201 ] || { cat "$answer"; return 1; }
}

# gateway_model MODEL DEVICE: a model whose baseline in force is what the device has booted.
gateway_model() {
    jq -n --arg name "$1" '{name: $name}' >"$work/body"
    call admin admin POST /v1/models "$work/body"
    [ "$status" = 201 ] || { cat "$answer"; return 1; }
    gateway_baseline "$1" "$2"
}

# gateway_baseline MODEL DEVICE: one more; its id is left in $baseline. The admin submits it, and a second operator,
# who is made with the first one, approves it and puts it in force.
gateway_baseline() {
    [ -e "$work/second.pem" ] || gateway_operator second approver || return 1
    device_pcrs "$2" 0,1,2,3,4,5,6,7,8,9,14 >"$work/pcrs.json" || return 1
    jq --arg model "$1" '{schema: "gatehouse/baseline/1", model: $model, label: "as booted", bank: "sha256", pcrs: .}' \
        "$work/pcrs.json" >"$work/body"
    call admin admin POST "/v1/models/$1/baselines" "$work/body"
    [ "$status" = 201 ] || { cat "$answer"; return 1; }
    baseline=$(field .id)
    for step in admin/submit second/approve second/activate; do
        call admin "${step%/*}" POST "/v1/baselines/$baseline/${step#*/}" "$work/empty"
        [ "$status" = 200 ] || { cat "$answer"; return 1; }
    done
}

# --- the parts of a device's life, each one call of the above ------------------------------------------

# device_enrols DEVICE MODEL: leaves DEVICE.pem, DEVICE.key for its calls, and its id in DEVICE/id.
device_enrols() {
    device_enrolment "$1" "$2" >"$work/body" && call enrol - POST /v1/enrollments "$work/body"
    [ "$status" = 201 ] || return 1
    enrollment=$(field .enrollment_id)
    device_activates "$1" <"$answer" >"$work/body" || return 1
    call enrol - POST "/v1/enrollments/$enrollment/activate" "$work/body"
    [ "$status" = 200 ] || return 1
    device_keeps_identity "$1"
}

device_keeps_identity() {
    field .identity_certificate >"$work/$1.pem"
    cp "$work/$1/tls.key" "$work/$1.key"
    field .device_id >"$work/$1/id"
}

# device_attests DEVICE: challenge, quote, evidence. The last call's status says how it went; the evidence is in
# $work/DEVICE/evidence.json.
device_attests() {
    call device "$1" POST /v1/challenges "$work/empty"
    [ "$status" = 201 ] || return 1
    device_evidence "$1" <"$answer" >"$work/$1/evidence.json" || return 1
    call device "$1" POST /v1/evidence "$work/$1/evidence.json"
}

# --- the same by gatehouse-device, the client for real devices -------------------------------------------

# device_configures DEVICE MODEL [LINE...]: the client's configuration for this gateway and this TPM.
device_configures() {
    configured=$1
    {
        printf '%s = %s\n' enrol_url "https://127.0.0.1:$(port_of enrol)" device_url "https://127.0.0.1:$(port_of device)" \
            ca_file "$work/server-ca.pem" model "$2" state_dir "$work/$1/state" tcti "swtpm:path=$work/$1/s" \
            event_log "$work/$1/log"
        shift 2
        for line in "$@"; do echo "$line"; done
    } >"$work/$configured/client.conf"
}

# device_client DEVICE COMMAND...: $client_shell runs it, when that is set.
device_client() {
    client_config=$work/$1/client.conf
    shift
    ${client_shell-} "$demo/../device/gatehouse-device" --config "$client_config" "$@"
}

# device_takes_over DEVICE: the client's identity becomes DEVICE.pem, DEVICE.key and DEVICE/id, for calls by hand.
device_takes_over() {
    cp "$work/$1/state/identity/certificate.pem" "$work/$1.pem" && cp "$work/$1/state/identity/key.pem" "$work/$1.key" &&
        jq -r .device_id "$work/$1/state/identity/result.json" >"$work/$1/id"
}

# decision DEVICE: what the proxy is told about it, "allow trusted".
decision() {
    call proxy proxy GET "/v1/decisions/$(cat "$work/$1/id")"
    field '"\(.decision) \(.reason)"'
}
