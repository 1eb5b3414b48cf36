# shellcheck shell=sh disable=SC2034,SC2154 # what is set here is used by the tests, and the other way round
# proxy_lib.sh: credentials, and requests through a proxy, to be sourced after lib.sh. Brings in deploy/demo/proxy.sh.

# shellcheck source=deploy/demo/proxy.sh
. "$demo/proxy.sh"

# credential DEVICE: attests for one, in DEVICE-credential.pem and .key, its serial in DEVICE.serial.
credential() {
    device_attests "$1"
    [ "$status" = 201 ] || { cat "$answer"; return 1; }
    field .credential.certificate >"$work/$1-credential.pem"
    field .credential.serial >"$work/$1.serial"
    cp "$work/$1/tls.key" "$work/$1-credential.key"
}

# revoked DEVICE: that credential is, and nothing else of the device.
revoked() {
    echo '{"reason": "its key was stolen"}' >"$work/body"
    call admin admin POST "/v1/credentials/$(cat "$work/$1.serial")/revoke" "$work/body"
    [ "$status" = 200 ] || { cat "$answer"; return 1; }
}

# through PORT AS [CURL-OPTION...]: a request through the proxy, as call leaves it; AS as in call.
through() {
    port=$1 as=$2
    shift 2
    [ "$as" = - ] || set -- --cert "$work/$as.pem" --key "$work/$as.key" "$@"
    : >"$answer"
    status=$(curl -sS --max-time 20 -o "$answer" -w '%{http_code}' --cacert "$work/server-ca.pem" "$@" \
        "https://localhost:$port/page" 2>"$work/curl.err") || :
}

# refused TEXT: the last request was, by the proxy or in its handshake, and the application has not seen it.
refused() {
    case $status in
    000 | 400 | 401 | 403 | 50?) same "$1" "$seen" "$(wc -l <"$work/application.log")" ;;
    *) not_ok "$1" "answered $status" ;;
    esac
}
# Before what is going to be refused.
now_refused() { seen=$(wc -l <"$work/application.log"); }

# told HEADER: its value, as the application got it; several are joined by commas.
told() { tr -d '\r' <"$answer" | grep -i "^$1: " | sed 's/^[^:]*: //' | paste -s -d,; }
