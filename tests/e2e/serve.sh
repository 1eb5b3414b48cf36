#!/bin/sh
# serve.sh: the life of the gateway's process: start, reload, drain, death of its parts, restart.
# test: serve
# concurrent
set -u

cd "$(dirname "$0")/../.." || exit 1
gatehouse=$PWD/${BUILD:-build}/gatehouse
case ${BUILD:-build} in /*) gatehouse=$BUILD/gatehouse ;; esac
dir=$(mktemp -d) || exit 1
g=$dir/g
pid=''
slow=''
unset GATEHOUSE_DATA # the tests' own: the gateway takes every GATEHOUSE_ for a setting

# Ends only what was started here.
finish() {
    for each in $slow $pid; do
        kill -KILL "$each" 2>/dev/null
        wait "$each" 2>/dev/null
    done
    rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' HUP INT TERM

ok() { echo "ok - $1"; }
not_ok() {
    echo "not ok - $1"
    sed 's/^/    /' "$dir/log" 2>/dev/null | tail -n 30
    failed=1
}
# claim TEXT COMMAND...: holds when the command succeeds.
claim() {
    text=$1
    shift
    if "$@"; then ok "$text"; else not_ok "$text"; fi
}
failed=0

# within SECONDS COMMAND...: tries until it succeeds.
within() {
    tries=$(($1 * 20))
    shift
    while [ $tries -gt 0 ]; do
        if "$@"; then return 0; fi
        sleep 0.05
        tries=$((tries - 1))
    done
    return 1
}
is_ready() { grep -q '"event":"ready"' "$dir/log" && [ -s "$dir/ports" ]; }
ended() { ! kill -0 "$1" 2>/dev/null; }
port() { awk -v plane="$1" '$1 == plane { print $2 }' "$dir/ports"; }

# Starts the gateway; its log is $dir/log.
start() {
    rm -f "$dir/ports"
    : >"$dir/log"
    "$gatehouse" serve --config "$g/gatehouse.ini" --ports-file "$dir/ports" 2>"$dir/log" &
    pid=$!
    within 20 is_ready
}
# Waits for its end; sets $code.
reap() {
    within 20 ended "$pid" || kill -KILL "$pid" 2>/dev/null
    wait "$pid"
    code=$?
    pid=''
}
stop() {
    kill -TERM "$pid"
    reap
}

health() { [ "$(curl -s -m 5 "http://127.0.0.1:$(port public)/healthz")" = ok ]; }
# as NAME PLANE PATH [curl arguments]: a request with NAME's certificate.
as() {
    name=$1 plane=$2 path=$3
    shift 3
    curl -s -m 10 --cacert "$g/ca/server.pem" --cert "$g/$name.pem" --key "$g/$name.key" "$@" \
        "https://localhost:$(port "$plane")$path"
}
admin_is_let_in() { as admin admin /v1/models -f >/dev/null; }
models() { as admin admin /v1/models | jq -r '.items[].name'; }
add_model() {
    as admin admin /v1/models -f -o /dev/null -H 'Content-Type: application/json' -d "{\"name\":\"$1\"}"
}
child_of() { awk '{ print $1 }' "/proc/$1/task/$1/children"; }
keeper() { child_of "$pid"; }
signer() { child_of "$(keeper)"; }

# --- configuration ---
"$gatehouse" init "$g" --listen 127.0.0.1:0 >"$dir/init" 2>&1 || {
    cat "$dir/init"
    not_ok 'init makes what serve needs'
    exit 1
}
ok 'init makes what serve needs'
mkdir -p "$g/trust"
printf '# ours\n%064d CN=one\n' 0 >"$g/trust/leaked_keys.txt"
sed -i 's|^#leaked_keys = .*|leaked_keys = trust/leaked_keys.txt|' "$g/gatehouse.ini"

sed 's/^listen = .*/listen = nowhere/' "$g/gatehouse.ini" >"$g/bad.ini"
"$gatehouse" serve --config "$g/bad.ini" 2>"$dir/log"
code=$?
line=$(grep -n '^listen = nowhere' "$g/bad.ini" | cut -d: -f1 | head -n 1)
claim 'a bad configuration ends with 1' [ $code -eq 1 ]
claim 'a bad configuration is told of by file, line and key' \
    grep -q "^$g/bad.ini:$line: device.listen: " "$dir/log"
claim 'every mistake of a configuration is told of' [ "$(wc -l <"$dir/log")" -ge 4 ]
rm "$g/bad.ini"

GATEHOUSE_LOG_LEVEL=loud "$gatehouse" serve --config "$g/gatehouse.ini" 2>"$dir/log"
code=$?
claim 'a bad variable ends with 1 and is named' \
    test $code -eq 1 -a "$(grep -c '^GATEHOUSE_LOG_LEVEL: log.level: ' "$dir/log")" -eq 1

"$gatehouse" serve --config "$g/absent.ini" 2>"$dir/log"
code=$?
claim 'a configuration that is not there ends with 1' [ $code -eq 1 ]

chmod 644 "$g/ca/access.key"
"$gatehouse" serve --config "$g/gatehouse.ini" 2>"$dir/log"
code=$?
claim 'a signing key that others can read ends with 1' [ $code -eq 1 ]
chmod 600 "$g/ca/access.key"

mv "$g/server.key" "$dir/server.key"
"$gatehouse" serve --config "$g/gatehouse.ini" 2>"$dir/log"
code=$?
claim 'a missing key ends with 1 and is named' test $code -eq 1 -a "$(grep -c 'server.key' "$dir/log")" -ge 1
mv "$dir/server.key" "$g/server.key"

# --- a fresh gateway ---
claim 'serve starts from a fresh init' start
[ $failed -eq 0 ] || exit 1
claim 'each plane is logged with its port' \
    [ "$(grep -c '"event":"listening".*"port":[1-9]' "$dir/log")" -eq 4 ]
claim 'the ports file names each plane' [ "$(awk '$2 > 0' "$dir/ports" | wc -l)" -eq 4 ]
claim '/healthz answers' health
claim 'the administrator made by init is let in' admin_is_let_in
status=$(as proxy proxy /v1/decisions/00000000000000000000000000000000 -o "$dir/decision" -w '%{http_code}')
claim 'the proxy made by init is answered' \
    [ "$status $(jq -r .reason "$dir/decision")" = '200 unknown_device' ]
as proxy admin /v1/models -o /dev/null
claim 'a proxy is not let in on the admin plane' [ $? -ne 0 ]
curl -s -m 5 -o /dev/null --cacert "$g/ca/server.pem" "https://localhost:$(port admin)/v1/models"
claim 'nobody is let in on the admin plane without a certificate' [ $? -ne 0 ]
claim 'a model is stored' add_model before-the-restart

# A second gateway on the same store.
"$gatehouse" serve --config "$g/gatehouse.ini" 2>"$dir/second"
code=$?
claim 'a second gateway on the same store ends with 1' [ $code -eq 1 ]
claim 'and the first one goes on' health

# --- SIGHUP ---
# One connection, two requests with a reload between them.
(
    printf 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'
    sleep 1.5
    printf 'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
    sleep 1
) | timeout 8 openssl s_client -quiet -no_ign_eof -connect "localhost:$(port admin)" -CAfile "$g/ca/server.pem" \
    -cert "$g/admin.pem" -key "$g/admin.key" >"$dir/kept" 2>"$dir/kept.err" &
slow=$!
sleep 0.7
kill -HUP "$pid"
reloaded() { grep -q '"event":"reloaded"' "$dir/log"; }
claim 'SIGHUP is logged' within 5 reloaded
wait "$slow"
slow=''
claim 'SIGHUP keeps connections' [ "$(grep -o 'HTTP/1.1 404 ' "$dir/kept" | wc -l)" -eq 2 ]
claim 'new connections come after SIGHUP' admin_is_let_in

serial() {
    openssl s_client -connect "localhost:$(port admin)" -cert "$g/admin.pem" -key "$g/admin.key" </dev/null 2>/dev/null |
        openssl x509 -noout -serial 2>/dev/null
}
old=$(serial)
"$gatehouse" init "$dir/other" --listen 127.0.0.1:0 >/dev/null
cp "$g/server.pem" "$dir/server.pem.old" && cp "$g/server.key" "$dir/server.key.old"
cp "$dir/other/server.pem" "$g/server.pem" && cp "$dir/other/server.key" "$g/server.key"
kill -HUP "$pid"
changed() { new=$(serial) && [ -n "$new" ] && [ "$new" != "$old" ]; }
claim 'SIGHUP puts a new certificate in force' within 5 changed
cp "$dir/server.pem.old" "$g/server.pem" && cp "$dir/server.key.old" "$g/server.key"
kill -HUP "$pid"
claim 'and the old one again' within 5 admin_is_let_in

configured() { as admin admin '/v1/audit?action=leaked_keys.configure' -o "$dir/configured" &&
    [ "$(jq -r '[.items[].after.keys] | join(",")' "$dir/configured")" = "$1" ]; }
claim 'leaked keys that were there at start are no change' configured ''
echo "$(printf '%064d' 1) CN=one more" >>"$g/trust/leaked_keys.txt"
kill -HUP "$pid"
claim 'SIGHUP puts a new list of leaked keys in force, and the audit says so' within 5 configured 2
echo 'not a key' >>"$g/trust/leaked_keys.txt"
kill -HUP "$pid"
list_refused() { grep '"event":"reload_failed"' "$dir/log" | grep -q 'leaked_keys.txt: line 4'; }
claim 'a list with a mistake is refused by line' within 5 list_refused
claim 'and the one before stays' configured 2
sed -i '$d' "$g/trust/leaked_keys.txt"

echo broken >"$g/server.pem"
kill -HUP "$pid"
reload_failed() { grep -q '"event":"reload_failed"' "$dir/log"; }
claim 'a reload that fails is logged' within 5 reload_failed
claim 'and what was in force stays' admin_is_let_in
cp "$dir/server.pem.old" "$g/server.pem"

# --- SIGTERM ---
# A request whose body takes a while is answered before the end.
(
    printf 'POST /v1/models HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{"name":"'
    sleep 1.5
    printf 'in-flight"}'
    sleep 1
) | timeout 8 openssl s_client -quiet -no_ign_eof -connect "localhost:$(port admin)" -CAfile "$g/ca/server.pem" \
    -cert "$g/admin.pem" -key "$g/admin.key" >"$dir/drained" 2>/dev/null &
slow=$!
sleep 0.7
public=$(port public)
kill -TERM "$pid"
sleep 0.3
curl -s -m 2 -o /dev/null "http://127.0.0.1:$public/healthz"
claim 'no connection is taken after SIGTERM' [ $? -ne 0 ]
reap
claim 'SIGTERM ends with 0' [ $code -eq 0 ]
wait "$slow"
slow=''
claim 'SIGTERM lets a request in progress end' grep -q '^HTTP/1.1 201 ' "$dir/drained"
claim 'the end is logged' grep -q '"event":"stopped","code":0' "$dir/log"

# --- again ---
claim 'it starts again' start
claim 'what was stored is there' [ "$(models | grep -cx -e before-the-restart -e in-flight)" -eq 2 ]
kill -INT "$pid"
reap
claim 'SIGINT ends with 0' [ $code -eq 0 ]

# A second signal does not wait: a connection that sends half a request would be waited for.
start
(
    printf 'POST /v1/models HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{'
    sleep 15
) | timeout 20 openssl s_client -quiet -no_ign_eof -connect "localhost:$(port admin)" -cert "$g/admin.pem" \
    -key "$g/admin.key" >/dev/null 2>&1 &
slow=$!
sleep 0.7
kill -TERM "$pid"
sleep 0.5
claim 'it waits for a request in progress' kill -0 "$pid"
kill -TERM "$pid"
claim 'a second signal ends it at once' within 2 ended "$pid"
reap
kill "$slow" 2>/dev/null
wait "$slow" 2>/dev/null
slow=''

# --- parts that die ---
start
kill -KILL "$(signer)"
reap
claim 'a signer that is killed ends the gateway with another status than 0' [ $code -ne 0 ]
claim 'and the log says why' grep -q '"event":"signer_gone"' "$dir/log"

start
kill -KILL "$(keeper)"
reap
claim 'and so does one whose keeper is killed' [ $code -ne 0 ]

start
child=$(signer)
kill -TERM "$child" "$(keeper)"
sleep 0.3
claim 'a signal that was meant for the gateway leaves the signer alone' kill -0 "$child"
add_model kept-through-a-kill
kill -KILL "$pid"
reap
claim 'a gateway that is killed takes its signer with it' within 5 ended "$child"
claim 'it starts after being killed' start
claim 'what was acknowledged before is there' [ "$(models | grep -cx kept-through-a-kill)" -eq 1 ]
stop
claim 'and ends with 0' [ $code -eq 0 ]

# --- log file, overrides, service manager ---
GATEHOUSE_LOG_FILE="$g/gatehouse.log"
export GATEHOUSE_LOG_FILE
start_quietly() {
    rm -f "$dir/ports"
    "$gatehouse" serve --config "$g/gatehouse.ini" --ports-file "$dir/ports" 2>"$dir/log" &
    pid=$!
    within 20 [ -s "$dir/ports" ]
}
start_quietly
claim 'the log goes to its file' within 5 grep -qs '"event":"ready"' "$g/gatehouse.log"
mv "$g/gatehouse.log" "$g/gatehouse.log.1"
kill -HUP "$pid"
claim 'SIGHUP opens a new log file' within 5 grep -qs '"event":"reloaded"' "$g/gatehouse.log"
stop
claim 'the end is in the new file' grep -q '"event":"stopped"' "$g/gatehouse.log"
claim 'every line of the log is JSON' jq -es 'length > 3' "$g/gatehouse.log.1" >/dev/null
unset GATEHOUSE_LOG_FILE

if command -v python3 >/dev/null; then
    python3 - "$dir/notify" >"$dir/notified" <<'LISTENER' &
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
s.settimeout(30)
print(s.recv(100).decode(), flush=True)
print(s.recv(100).decode(), flush=True)
LISTENER
    slow=$!
    within 5 [ -S "$dir/notify" ]
    NOTIFY_SOCKET=$dir/notify
    export NOTIFY_SOCKET
    start
    claim 'the service manager is told when it is ready' within 5 grep -qx READY=1 "$dir/notified"
    stop
    claim 'and when it stops' within 5 grep -qx STOPPING=1 "$dir/notified"
    unset NOTIFY_SOCKET
    wait "$slow"
    slow=''
else
    echo 'skip - the service manager is told: there is no python3'
fi

GATEHOUSE_PROXY_LISTEN="unix:proxy.sock" start
claim 'a Unix socket has its permissions' [ "$(stat -c %a "$g/proxy.sock")" = 660 ]
claim 'a Unix socket answers as the local proxy' \
    [ "$(curl -s -m 5 --unix-socket "$g/proxy.sock" http://x/v1/decisions/00000000000000000000000000000000 | jq -r .decision)" = deny ]
stop

exit $failed
