# shellcheck shell=sh disable=SC2034,SC2154 # what is set here is used by who sources it
# proxy.sh: a real proxy in front of a small application, for the demo and the end-to-end tests, to be sourced after
# gateway.sh. The proxies are those that `make deps` unpacked, or else the system's; each runs with a configuration that
# gatehouse proxy-config prints. The application answers any request with the headers that it has got.
: "${work:?the folder to work in}" "${gateway:?where the gateway is made}" "${root:?the repository}"

proxy_programs=$root/.deps/proxies

# proxy_program NAME: where it is; fails where there is none.
proxy_program() {
    for candidate in "$proxy_programs/usr/sbin/$1" "$proxy_programs/usr/bin/$1" "/usr/sbin/$1" "/usr/bin/$1"; do
        if [ -x "$candidate" ]; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

# free_port: one that nobody listens on just now, and that the system gives to nobody who does not ask for it.
free_port() {
    python3 -c 'import random, socket
while True:
    port = random.randrange(20000, 32000)
    try:
        with socket.socket() as s:
            s.bind(("127.0.0.1", port))
        break
    except OSError:
        pass
print(port)'
}

# application_start: listens on $application (a port), and writes a line for each request that reaches it to
# $work/application.log.
application_start() {
    cat >"$work/application.py" <<'END'
import http.server, sys
class Application(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said = "".join(f"{name}: {value}\n" for name, value in self.headers.items()).encode()
        self.log.write(f"{self.command} {self.path}\n")
        self.log.flush()
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
    do_GET = do_POST = answer
    def log_message(self, *ignored):
        pass
Application.log = open(sys.argv[2], "a")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Application)
with open(sys.argv[1], "w") as out:
    out.write(f"{server.server_port}\n")
server.serve_forever()
END
    rm -f "$work/application.port"
    : >"$work/application.log"
    python3 "$work/application.py" "$work/application.port" "$work/application.log" 2>"$work/application.err" &
    started="$started $!"
    wait_for 10 test -s "$work/application.port" || return 1
    application=$(cat "$work/application.port")
}

# proxy_registered NAME DIALECT [POLICY]...: a certificate for it, and its registration.
proxy_registered() {
    gateway_certifies "$1" proxies || return 1
    registered=$1 dialect=$2
    shift 2
    jq -n --arg name "$registered" --arg dialect "$dialect" --rawfile pem "$work/$registered.pem" \
        '{name: $name, dialect: $dialect, certificate: $pem, policies: $ARGS.positional}' --args "$@" >"$work/body"
    call admin admin POST /v1/proxies "$work/body"
    [ "$status" = 201 ] || { cat "$answer"; return 1; }
}

# proxy_config KIND PORT OPTION...: prints the configuration; the site shows the gateway's own certificate.
proxy_config() {
    configured=$1 listens=$2
    shift 2
    cat "$gateway/server.pem" "$gateway/server.key" >"$work/site.both"
    if [ "$configured" = haproxy ]; then
        set -- --cert "$work/site.both" --lua "$work/gatehouse.lua" "$@"
    else
        set -- --cert "$gateway/server.pem" --key "$gateway/server.key" "$@"
    fi
    "$gatehouse" proxy-config --kind "$configured" --listen "127.0.0.1:$listens" --server-name localhost \
        --access-ca "$gateway/ca/access.pem" --upstream "127.0.0.1:$application" "$@"
}

# proxy_identity KIND: the options that say how the proxy asks the gateway, one a line.
proxy_identity() {
    printf '%s\n' --gateway "https://localhost:$(port_of proxy)" --gateway-ca "$work/server-ca.pem"
    if [ "$1" = haproxy ]; then
        cat "$work/haproxy.pem" "$work/haproxy.key" >"$work/haproxy.both"
        printf '%s\n' --gateway-cert "$work/haproxy.both"
    else
        printf '%s\n' --gateway-cert "$work/$1.pem" --gateway-key "$work/$1.key"
    fi
}

proxy_listens() { openssl s_client -connect "127.0.0.1:$1" </dev/null 2>&1 | grep -q 'BEGIN CERTIFICATE'; }

# proxy_start KIND PORT FILE: runs the proxy with this configuration; its process is $proxy_pid, what it says is in
# $work/KIND.log.
proxy_start() {
    program=$(proxy_program "$1") || return 1
    case $1 in
    nginx)
        mkdir -p "$work/nginx.tmp"
        {
            # One process, which is whoever runs this.
            echo "daemon off; master_process off; pid $work/nginx.pid; error_log stderr notice;"
            echo "events { worker_connections 256; }"
            echo "http { access_log off;"
            for temp in client_body proxy fastcgi uwsgi scgi; do echo "${temp}_temp_path $work/nginx.tmp/$temp;"; done
            echo "include $3; }"
        } >"$work/nginx.whole"
        "$program" -p "$work" -c "$work/nginx.whole" >>"$work/nginx.log" 2>&1 &
        ;;
    haproxy)
        "$gatehouse" proxy-config --kind haproxy --part lua >"$work/gatehouse.lua" || return 1
        "$program" -db -f "$3" >>"$work/haproxy.log" 2>&1 &
        ;;
    caddy)
        # No port of its own for anything else: no administration, no redirects from plain HTTP.
        printf '{\n\tadmin off\n\tauto_https off\n}\nimport %s\n' "$3" >"$work/Caddyfile"
        HOME=$work XDG_DATA_HOME=$work/caddy.data XDG_CONFIG_HOME=$work/caddy.config \
            "$program" run --adapter caddyfile --config "$work/Caddyfile" >>"$work/caddy.log" 2>&1 &
        ;;
    esac
    proxy_pid=$!
    started="$started $proxy_pid"
    wait_for 15 proxy_listens "$2" || { tail -n 20 "$work/$1.log"; return 1; }
}
