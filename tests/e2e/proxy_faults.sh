#!/bin/sh
# test: proxies whose authorization service answers oddly or not at all; lists of revocations; policies; a Unix socket
cd "$(dirname "$0")" && . ./lib.sh
# shellcheck source=tests/e2e/proxy_lib.sh
. ./tests/e2e/proxy_lib.sh

a_gateway edge lost
enrolled edge lost
must 'edge has a credential' credential edge
must 'lost has one' credential lost
must 'which is revoked' revoked lost
id=$(cat "$work/edge/id")
must 'the application' application_start

kinds=''
for kind in nginx haproxy caddy; do
    if proxy_program "$kind" >/dev/null; then
        kinds="$kinds $kind"
    else
        skip "$kind and a service that answers oddly" "there is no $kind: make deps brings it"
    fi
done

# proxy_run KIND OPTION...: with a configuration of these, on a port of its own.
proxy_run() {
    run=$1
    shift
    free_port >"$work/$run.port"
    proxy_config "$run" "$(cat "$work/$run.port")" "$@" >"$work/$run.conf" 2>"$work/config.err" || { cat "$work/config.err"; return 1; }
    proxy_start "$run" "$(cat "$work/$run.port")" "$work/$run.conf" || return 1
    echo "$proxy_pid" >"$work/$run.pid"
}
proxy_end() { stop_process "$(cat "$work/$1.pid")"; }
port() { cat "$work/$1.port"; }

# --- a service that is not Gatehouse: it does what $work/behaves says ----------------------------------

cat >"$work/service.py" <<'END'
import os, socketserver, sys, time
complete = ["X-Device-Id: stub", "X-Device-Model: m", "X-Device-Tier: t", "X-Device-Segment: s",
            "X-Device-Key-Protection: k", "X-Device-Lease: l"]
class Service(socketserver.StreamRequestHandler):
    def handle(self):
        while (line := self.rfile.readline()).strip():
            pass
        how = open(sys.argv[2]).read().strip()
        status, headers = "200 OK", complete
        if how == "bare": headers = complete[:1]
        elif how == "none": headers = []
        elif how == "garbage": return self.wfile.write(b"\x16\x03\x01 this is not HTTP\r\n\r\n")
        elif how == "close": return
        elif how == "half": return self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Device-Id: stu")
        elif how == "hang": return time.sleep(8)
        elif how != "whole": status, headers = how + " X", complete
        text = "".join(h + "\r\n" for h in headers)
        self.wfile.write(f"HTTP/1.1 {status}\r\n{text}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
Server(sys.argv[1], Service).serve_forever()
END
echo whole >"$work/behaves"
python3 "$work/service.py" "$work/service.sock" "$work/behaves" 2>"$work/service.err" &
started="$started $!"
must 'a service listens' wait_for 10 test -S "$work/service.sock"

for kind in $kinds; do
    must "$kind runs with it" proxy_run "$kind" --gateway "unix:$work/service.sock"
    echo whole >"$work/behaves"
    through "$(port "$kind")" edge-credential
    same "$kind: a service that says all of it lets in" '200 stub' "$status $(told X-Device-Id)"
    # What the answer leaves out must not become what the client says (CVE-2026-30851 is Caddy's).
    for how in bare none; do
        echo $how >"$work/behaves"
        through "$(port "$kind")" edge-credential -H 'X-Device-Tier: spoof' -H 'X-Device-Id: spoof' -H 'X-Device-Lease: spoof' \
            -H 'X_Device_Tier: spoof'
        claim "$kind: an answer with $how of the headers does not let the client's own through" sh -c \
            '! grep -q spoof "$1"' sh "$answer"
    done
    for how in 401 403 404 429 302 500 503 garbage close half; do
        echo $how >"$work/behaves"
        now_refused
        through "$(port "$kind")" edge-credential
        case $how:$status in # Caddy hands on whatever is not 2xx
        404:404 | 429:429 | 302:302) same "$kind: it stays closed on $how" "$seen" "$(wc -l <"$work/application.log")" ;;
        *) refused "$kind: it stays closed on $how" ;;
        esac
    done
    echo hang >"$work/behaves"
    now_refused
    through "$(port "$kind")" edge-credential
    refused "$kind: it stays closed when no answer comes"
    proxy_end "$kind"
done

# --- the gateway on a Unix socket ----------------------------------------------------------------------

gateway_stop
export GATEHOUSE_PROXY_LISTEN="127.0.0.1:0,unix:$work/proxy.sock"
for entry in nginx:nginx haproxy:rfc9440 caddy:caddy; do
    kind=${entry%:*}
    case " $kinds " in *" $kind "*) ;; *) continue ;; esac
    export GATEHOUSE_PROXY_UNIX_DIALECT="${entry#*:}"
    must "the gateway serves $kind at a Unix socket" gateway_start
    must "$kind runs with it" proxy_run "$kind" --gateway "unix:$work/proxy.sock"
    through "$(port "$kind")" edge-credential
    same "$kind: it asks over a Unix socket" "200 $id" "$status $(told X-Device-Id)"
    now_refused
    through "$(port "$kind")" edge
    refused "$kind: an identity certificate is refused there too"
    proxy_end "$kind"
    gateway_stop
done
unset GATEHOUSE_PROXY_LISTEN GATEHOUSE_PROXY_UNIX_DIALECT
must 'the gateway runs again' gateway_start

# --- policies, and lists of revocations ------------------------------------------------------------------

echo '{"name": "tpm-keys", "key_protection": "tpm"}' >"$work/body"
call admin admin POST /v1/access-policies "$work/body"
answered 'a policy asks for keys in a TPM' 201
echo '{"name": "anything"}' >"$work/body"
call admin admin POST /v1/access-policies "$work/body"

# listed: the gateway's list has lost's credential on it.
listed() {
    call public - GET /v1/crl/access.pem
    cp "$answer" "$work/access.crl"
    openssl crl -in "$work/access.crl" -noout -text | grep -qi "Serial Number: $(cat "$work/lost.serial")"
}
must 'the gateway lists it' wait_for 10 listed

for entry in nginx:nginx haproxy:rfc9440; do
    kind=${entry%:*}
    case " $kinds " in *" $kind "*) ;; *) continue ;; esac
    must "$kind is registered" proxy_registered "$kind" "${entry#*:}" anything tpm-keys
    for policy in anything:200 tpm-keys:refused other:refused; do
        # shellcheck disable=SC2046 # words
        must "$kind runs with the policy ${policy%:*}" proxy_run "$kind" $(proxy_identity "$kind") --policy "${policy%:*}"
        now_refused
        through "$(port "$kind")" edge-credential
        case $policy in
        *:200) same "$kind: what the policy ${policy%:*} wants, the device is" 200 "$status" ;;
        *) refused "$kind: what the policy ${policy%:*} wants, it is not" ;;
        esac
        proxy_end "$kind"
    done

    # Before a service that lets in everybody, it is the list that refuses.
    echo whole >"$work/behaves"
    must "$kind runs with the gateway's list" proxy_run "$kind" --gateway "unix:$work/service.sock" --crl "$work/access.crl"
    through "$(port "$kind")" edge-credential
    same "$kind: who is not on the list passes" 200 "$status"
    now_refused
    through "$(port "$kind")" lost-credential
    refused "$kind: who is on the list is refused, whoever lets it in"
    proxy_end "$kind"
done
finish
