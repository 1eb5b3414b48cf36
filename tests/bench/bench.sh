#!/bin/sh
# bench.sh: measures the gateway, each figure with what it is held against in the same run. Prints a line of JSON
# for each result, then a table; they stay in $BUILD/bench. Ends with 0 also when a target is missed: a missed
# target is reported, with where the time goes when perf is there.
#
#   BENCH_SECONDS=5         how long each load runs
#   BENCH_DEVICES=1000000   the large fleet; 0 leaves it out
#   BENCH_ONLY='core rejudge boots enrol register attest audit decision handshake authorize revoke changes ocsp fleet'   a part of it
set -eu

cd "$(dirname "$0")/../.."
root=$(pwd)
BUILD=${BUILD:-build}
case $BUILD in /*) ;; *) BUILD=$root/$BUILD ;; esac
BENCH_SECONDS=${BENCH_SECONDS:-5}
BENCH_DEVICES=${BENCH_DEVICES:-1000000}
only=${BENCH_ONLY:-core rejudge boots enrol register attest audit decision handshake authorize revoke changes ocsp fleet}
export BENCH_SECONDS LC_ALL=C TZ=UTC0
gatehouse=$BUILD/gatehouse
loadgen=$BUILD/bench/loadgen
results=$BUILD/bench/results.jsonl
demo=$root/deploy/demo
work=$(mktemp -d "$BUILD/bench/run.XXXXXX") # on a disk: what is durable costs what it costs there

# shellcheck source=deploy/demo/device.sh
. "$demo/device.sh"
# shellcheck source=deploy/demo/gateway.sh
. "$demo/gateway.sh"

clean_up() {
    code=$?
    trap - EXIT HUP INT TERM
    stop_processes
    [ $code -eq 0 ] || { [ ! -s "$log" ] || tail -n 20 "$log" >&2; }
    rm -rf "$work"
    exit $code
}
trap clean_up EXIT
trap 'exit 130' HUP INT TERM
# shellcheck disable=SC3045 # dash has it
ulimit -n "$(ulimit -H -n)" 2>/dev/null || :

say() { printf '# %s\n' "$*"; }
wanted() { case " $only " in *" $1 "*) return 0 ;; esac; return 1; }

# record: lines of JSON go to the screen and to the results.
record() { tee -a "$results"; }
# measured COMMAND...: its results are recorded; a load that breaks off fails the whole bench in the end.
broken=''
measured() {
    "$@" >"$work/out" || { say "this broke off: $*"; broken=yes; }
    record <"$work/out"
}
# value NAME WHAT: of the last such result.
value() { jq -r --arg b "$1" --arg w "$2" 'select(.bench == $b and .what == $w) | .value' "$results" | tail -n 1; }
# mean FILE WHAT: of the results in it.
mean() { jq -s --arg w "$2" '[.[] | select(.what == $w) | .value] | add / length' "$1"; }
# result BENCH WHAT VALUE UNIT [TARGET below|above]
result() {
    jq -nc --arg b "$1" --arg w "$2" --argjson v "$3" --arg u "$4" --arg t "${5-}" --arg d "${6-below}" '
        {bench: $b, what: $w, value: ($v * 1000 | round / 1000), unit: $u}
        + if $t == "" then {} else {target: ((if $d == "below" then "<= " else ">= " end) + $t),
            met: (if $d == "below" then $v <= ($t | tonumber) else $v >= ($t | tonumber) end)} end' | record
}
# missed: the last result did not meet its target.
missed() { [ "$(tail -n 1 "$results" | jq -r .met)" = false ]; }

# where_time_goes PIDS COMMAND...: what the processes do while the command loads them.
where_time_goes() {
    pids=$1
    shift
    command -v perf >/dev/null || { say 'perf is not here to tell where the time goes'; return 0; }
    "$@" >/dev/null 2>&1 &
    load=$!
    sleep 0.5
    perf record -q -g -o "$work/perf.data" -p "$pids" -- sleep 1 >/dev/null 2>&1 || :
    wait $load || :
    say "where the time of $pids goes:"
    perf report --stdio --no-children -g none -i "$work/perf.data" 2>/dev/null | grep -v '^#' | grep . | head -n 16 | sed 's/^/#   /'
}

# pids_of PID: it and what it started (the signer and its keeper; nginx's worker), as a list with commas.
pids_of() { family_of "$1" | paste -s -d , -; }
family_of() {
    echo "$1"
    for child in $(pgrep -P "$1" || :); do
        family_of "$child"
    done
}

# --- the two servers ---------------------------------------------------------------------------------

# made NAME: a gateway in $work/gateway-NAME with the proxy's and operator's certificates.
made() { # NAME [OPTION...]
    gateway=$work/gateway-$1
    log=$work/$1.log
    shift
    "$gatehouse" init "$gateway" --listen 127.0.0.1:0 "$@" >/dev/null
    cp "$gateway/admin.pem" "$gateway/admin.key" "$gateway/proxy.pem" "$gateway/proxy.key" "$work/"
    cp "$gateway/ca/server.pem" "$work/server-ca.pem"
}

# provisioned NAME NUM: with that many devices in its store, their ids in $work/NAME.ids.
provisioned() {
    made "$1"
    "$loadgen" provision store="$gateway/gatehouse.db" key="$gateway/ca/identity.key" certificate="$gateway/ca/identity.pem" \
        domain=gatehouse.internal devices="$2" fleet="$work/$1.fleet"
    grep -E '^[0-9a-f]{32} [0-9a-f]{32}$' "$work/$1.fleet" >"$work/$1.ids"
}

started_with() { # WORKERS
    GATEHOUSE_GATEWAY_WORKERS=$1
    export GATEHOUSE_GATEWAY_WORKERS
    gateway_start || { say 'the gateway does not start'; exit 1; }
}

# What nginx takes is fetched as a package and unpacked here: nothing is installed, no service is started.
nginx_program() {
    command -v nginx && return
    [ -x "$BUILD/bench/nginx/usr/sbin/nginx" ] || {
        mkdir -p "$BUILD/bench/nginx"
        (cd "$BUILD/bench/nginx" && apt-get -q download nginx && dpkg-deb -x nginx_*.deb .) >"$work/nginx.out" 2>&1 || return 1
    }
    "$BUILD/bench/nginx/usr/sbin/nginx" -v >/dev/null 2>&1 && echo "$BUILD/bench/nginx/usr/sbin/nginx"
}

nginx_port=0
# nginx_start BODY-FILE: one worker, mutual TLS with the gateway's own certificates, one static answer.
nginx_start() {
    nginx=$(nginx_program) || return 1
    mkdir -p "$work/nginx"
    for nginx_port in $(shuf -i 20000-60000 -n 20); do
        cat >"$work/nginx/nginx.conf" <<END
worker_processes 1;
daemon off;
pid $work/nginx/pid;
error_log $work/nginx/error.log;
$([ "$(id -u)" -ne 0 ] || echo 'user root;')
events { worker_connections 4096; }
http {
    access_log off;
    default_type application/json;
    client_body_temp_path $work/nginx; proxy_temp_path $work/nginx; fastcgi_temp_path $work/nginx;
    uwsgi_temp_path $work/nginx; scgi_temp_path $work/nginx;
    keepalive_requests 1000000000;
    server {
        listen 127.0.0.1:$nginx_port ssl;
        ssl_certificate $gateway/server.pem;
        ssl_certificate_key $gateway/server.key;
        ssl_client_certificate $gateway/ca/proxies.pem;
        ssl_verify_client on;
        ssl_protocols TLSv1.3;
        ssl_session_tickets off;
        ssl_session_cache off;
        location / { return 200 '$(cat "$1")'; }
    }
}
END
        "$nginx" -p "$work/nginx" -c "$work/nginx/nginx.conf" >/dev/null 2>&1 &
        nginx_pid=$!
        if wait_for 2 nginx_listens && ! ended $nginx_pid; then
            started="$started $nginx_pid"
            return 0
        fi
        wait $nginx_pid || :
    done
    return 1
}
nginx_listens() { [ -s "$work/nginx/pid" ] && [ -n "$(pgrep -P "$nginx_pid")" ]; }

as_proxy() { # NAME PORT PATH PIDS [OPTION...]
    as_name=$1 as_port=$2 as_path=$3 as_pids=$4
    shift 4
    "$loadgen" get name="$as_name" at="127.0.0.1:$as_port" anchors="$work/server-ca.pem" cert="$work/proxy.pem" \
        key="$work/proxy.key" path="$as_path" pids="$as_pids" "$@"
}

# against_nginx NAME TARGET [OPTION...]: rounds of both in turn, and the share of CPU.
against_nginx() {
    versus=$1 ceiling=$2
    shift 2
    rm -f "$work/ours" "$work/theirs"
    BENCH_SECONDS=$(awk -v s="$BENCH_SECONDS" 'BEGIN { print s / 2 }')
    for _ in 1 2 3; do
        as_proxy "$versus" "$(port_of proxy)" /v1/decisions/ "$(pids_of "$gateway_pid")" ids="$work/small.ids" "$@" >>"$work/ours"
        as_proxy "$versus" "$nginx_port" / "$(pids_of "$nginx_pid")" "$@" >>"$work/theirs"
    done
    BENCH_SECONDS=$(awk -v s="$BENCH_SECONDS" 'BEGIN { print s * 2 }')
    result "$versus" 'Gatehouse' "$(mean "$work/ours" 'server CPU')" 'us CPU'
    result "$versus" 'nginx, a static answer' "$(mean "$work/theirs" 'server CPU')" 'us CPU'
    result "$versus" 'Gatehouse, requests' "$(mean "$work/ours" rate)" '1/s'
    result "$versus" 'nginx, requests' "$(mean "$work/theirs" rate)" '1/s'
    result "$versus" "CPU, share of nginx's" \
        "$(echo "$(value "$versus" Gatehouse) $(value "$versus" 'nginx, a static answer')" | awk '{ print $1 / $2 }')" x "$ceiling"
    ! missed || BENCH_SECONDS=2 where_time_goes "$(pids_of "$gateway_pid")" \
        as_proxy "$versus" "$(port_of proxy)" /v1/decisions/ "$gateway_pid" ids="$work/small.ids" "$@"
}

# --- the benches -------------------------------------------------------------------------------------

: >"$results"
say "$(date -u +%Y-%m-%dT%H:%M:%SZ), $(nproc) cores: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(uname -sr)"

if wanted core; then
    say 'the verification core, in process'
    measured "$BUILD/bench/core"
    measured "$BUILD/bench/ima"
fi

if wanted boots; then
    say 'what a fleet boots, in the store: 20,000 devices, each with a partition table and a boot variable of its own'
    measured "$BUILD/bench/boots" "$work/boots.db"
fi

if wanted rejudge; then
    say '100,000 devices that booted 50 things, held against a changed policy'
    mkdir "$work/rejudge"
    measured "$BUILD/bench/rejudge" "$work/rejudge" 100000
    rm -rf "$work/rejudge"
fi

# eks_made NUM: RSA-2048 EKs in $work/eks with certificates by an intermediate authority of a vendor, whose root and
# intermediate are in $work/vendor.pem.
eks_made() {
    mkdir -p "$work/eks"
    for ca in root issuing; do
        openssl genrsa -out "$work/$ca.key" 2048 2>/dev/null
    done
    printf 'basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign\nsubjectKeyIdentifier = hash\n' \
        >"$work/ca.ext"
    printf 'basicConstraints = critical, CA:FALSE\nkeyUsage = critical, keyEncipherment\nextendedKeyUsage = 2.23.133.8.1\n%s\n' \
        'subjectAltName = critical, dirName:tpm' >"$work/ek.ext"
    printf '[tpm]\n1.2.23.133.2.1 = UTF8:id:00001014\n2.2.23.133.2.2 = UTF8:bench\n3.2.23.133.2.3 = UTF8:id:20191023\n' >>"$work/ek.ext"
    openssl req -new -key "$work/root.key" -subj '/CN=TPM root' -out "$work/root.csr"
    openssl x509 -req -in "$work/root.csr" -key "$work/root.key" -days 30 -extfile "$work/ca.ext" -out "$work/root.pem" 2>/dev/null
    openssl req -new -key "$work/issuing.key" -subj '/CN=TPM issuing' -out "$work/issuing.csr"
    openssl x509 -req -in "$work/issuing.csr" -CA "$work/root.pem" -CAkey "$work/root.key" -set_serial 2 -days 30 \
        -extfile "$work/ca.ext" -out "$work/issuing.pem" 2>/dev/null
    for number in $(seq "$1"); do
        openssl genrsa -traditional 2048 2>/dev/null >"$work/ek.key"
        openssl rsa -in "$work/ek.key" -traditional -outform DER -out "$work/eks/$number.key" 2>/dev/null
        openssl req -new -key "$work/ek.key" -subj / -out "$work/ek.csr"
        openssl x509 -req -in "$work/ek.csr" -CA "$work/issuing.pem" -CAkey "$work/issuing.key" -set_serial "$((number + 2))" \
            -days 30 -extfile "$work/ek.ext" -outform DER -out "$work/eks/$number.crt" 2>/dev/null
    done
    cat "$work/root.pem" "$work/issuing.pem" >"$work/vendor.pem"
}

enrolling() {
    "$loadgen" enrol name=enrol eks="$work/eks" at="127.0.0.1:$(port_of enrol)" anchors="$work/server-ca.pem" \
        pids="$(pids_of "$gateway_pid")" threads=16
}
if wanted enrol; then
    say 'enrolment: two connections, RSA-2048 EK below an intermediate and a root, activation, durable identity'
    eks_made 64
    made enrol --ek-trust "$work/vendor.pem"
    export GATEHOUSE_ENROLMENT_PENDING_PER_IP=1000 GATEHOUSE_ENROLMENT_PER_IP_PER_MINUTE=1000000 \
        GATEHOUSE_ENROL_CONNECTIONS_PER_IP=0
    started_with 0
    jq -n '{name: "bench"}' >"$work/body"
    call admin admin POST /v1/models "$work/body"
    [ "$status" = 201 ] || { say 'no model'; exit 1; }
    measured enrolling
    if jq -es 'any(.bench == "enrol" and .met == false)' "$results" >/dev/null; then
        BENCH_SECONDS=2 where_time_goes "$(pids_of "$gateway_pid")" enrolling
    fi
    gateway_stop
    unset GATEHOUSE_ENROLMENT_PENDING_PER_IP GATEHOUSE_ENROLMENT_PER_IP_PER_MINUTE GATEHOUSE_ENROL_CONNECTIONS_PER_IP
fi

# uploading FILE TYPE: announces the rows of a file over HTTP; prints the seconds until the answer, when all of them are
# durable.
uploading() {
    seconds=$(curl -sS --max-time 300 -o "$answer" -w '%{time_total}' -X POST --cacert "$work/server-ca.pem" --cert "$work/admin.pem" \
        --key "$work/admin.key" -H "Content-Type: $2" --data-binary "@$1" "https://127.0.0.1:$(port_of admin)/v1/devices")
    [ "$(field .registered)" = 100000 ] || { cat "$answer" >&2; return 1; }
    echo "$seconds"
}
if wanted register; then
    say 'announcing 100,000 devices in one upload, durable; into an empty store, then beside those'
    made register
    started_with 0
    jq -n '{name: "bench"}' >"$work/body"
    call admin admin POST /v1/models "$work/body"
    [ "$status" = 201 ] || { say 'no model'; exit 1; }
    for i in 1 2; do
        openssl enc -aes-128-ctr -nosalt -K "0000000000000000000000000000000$i" -iv 00000000000000000000000000000000 -in /dev/zero \
            2>/dev/null | head -c 3200000 | od -An -v -w32 -tx1 | tr -d ' ' >"$work/digests.$i"
    done
    { echo model,ek_sha256; sed 's/^/bench,/' "$work/digests.1"; } >"$work/rows.csv"
    sed 's/.*/{"model":"bench","ek_sha256":"&","note":"as delivered"}/' "$work/digests.2" >"$work/rows.ndjson"
    result register '100,000 rows of CSV' "$(uploading "$work/rows.csv" text/csv)" s 10
    result register '100,000 rows of NDJSON' "$(uploading "$work/rows.ndjson" application/x-ndjson)" s 10
    gateway_stop
fi

if wanted attest || wanted decision || wanted handshake || wanted revoke; then
    provisioned small 1000
fi

if wanted decision || wanted handshake; then
    started_with 1
    call proxy proxy GET "/v1/decisions/$(head -n 1 "$work/small.ids" | cut -d ' ' -f 1)"
    if nginx_start "$answer"; then
        if wanted decision; then
            say 'decisions over keep-alive mutual TLS, one worker each'
            against_nginx decision 0.95 threads=16
        fi
        if wanted handshake; then
            say 'a connection, one decision, one worker each'
            against_nginx handshake 0.55 threads=16 each=connection
        fi
        stop_process $nginx_pid
    else
        say 'nginx could not be had: no comparison'
        measured as_proxy decision "$(port_of proxy)" /v1/decisions/ "$(pids_of "$gateway_pid")" ids="$work/small.ids"
    fi
    gateway_stop
fi

# a_credential: a gateway with a device that has proved itself; the credential is in $work/leaf.pem and leaf.der.
a_credential() {
    vendor_new acme && device_new edge acme && device_boot edge && device_keys edge && gateway_init acme &&
        gateway_start && gateway_model acme-edge9 edge && device_enrols edge acme-edge9 && device_attests edge &&
        field .credential.certificate >"$work/credential.pem" &&
        openssl x509 -in "$work/credential.pem" -out "$work/leaf.pem" &&
        openssl x509 -in "$work/credential.pem" -outform DER -out "$work/leaf.der"
}

if wanted authorize; then
    say 'forward authentication with a certificate that was verified before, one worker; nginx answers the same statically'
    GATEHOUSE_GATEWAY_WORKERS=1 GATEHOUSE_PROXY_LISTEN="127.0.0.1:0,unix:$work/proxy.sock" GATEHOUSE_PROXY_UNIX_DIALECT=nginx
    export GATEHOUSE_GATEWAY_WORKERS GATEHOUSE_PROXY_LISTEN GATEHOUSE_PROXY_UNIX_DIALECT
    log=$work/authorize.log gateway=$work/gateway
    a_credential >"$work/authorize.out" 2>&1 || { cat "$work/authorize.out"; say 'no credential'; exit 1; }
    jq -n '{dialect: "nginx"}' >"$work/body"
    call admin admin PUT /v1/proxies/proxy "$work/body"
    printf 'X-SSL-Client-Verify: SUCCESS\r\nX-SSL-Client-Cert: %s\r\n' "$(jq -sRr @uri <"$work/leaf.pem")" >"$work/nginx.headers"
    as_proxy authorize "$(port_of proxy)" /v1/authorize "$(pids_of "$gateway_pid")" threads=16 headers="$work/nginx.headers" >"$work/ours"
    "$loadgen" get name=authorize at="unix:$work/proxy.sock" anchors="$work/server-ca.pem" cert="$work/proxy.pem" key="$work/proxy.key" \
        path=/v1/authorize pids="$(pids_of "$gateway_pid")" threads=16 headers="$work/nginx.headers" >"$work/local"
    echo yes >"$work/static"
    if nginx_start "$work/static"; then
        as_proxy authorize "$nginx_port" / "$(pids_of "$nginx_pid")" threads=16 headers="$work/nginx.headers" >"$work/theirs"
        result authorize 'nginx, a static answer' "$(mean "$work/theirs" 'server CPU')" 'us CPU'
        stop_process $nginx_pid
    fi
    result authorize 'Unix socket, requests' "$(mean "$work/local" rate)" '1/s'
    result authorize 'Unix socket' "$(mean "$work/local" 'server CPU')" 'us CPU' 15
    result authorize 'mutual TLS, requests' "$(mean "$work/ours" rate)" '1/s'
    result authorize 'mutual TLS' "$(mean "$work/ours" 'server CPU')" 'us CPU' 60
    gateway_stop
    unset GATEHOUSE_PROXY_LISTEN GATEHOUSE_PROXY_UNIX_DIALECT
fi

if wanted revoke; then
    say 'from revocation to denial, 1,000 decisions/s beside'
    started_with 0
    measured "$loadgen" revoke fleet="$work/small.fleet" proxy="127.0.0.1:$(port_of proxy)" admin="127.0.0.1:$(port_of admin)" \
        anchors="$work/server-ca.pem" cert="$work/proxy.pem" key="$work/proxy.key" admin_cert="$work/admin.pem" \
        admin_key="$work/admin.key"
    gateway_stop
fi

attesting() {
    "$loadgen" attest name=attest fleet="$work/small.fleet" at="127.0.0.1:$(port_of device)" anchors="$work/server-ca.pem" \
        pids="$(pids_of "$gateway_pid")" threads=32
}
if wanted attest; then
    say 'full attestation: connection, challenge, 40 KB of evidence, durable credential; load generator on the same cores'
    started_with 0
    measured attesting
    if jq -es 'any(.bench == "attest" and .met == false)' "$results" >/dev/null; then
        BENCH_SECONDS=2 where_time_goes "$(pids_of "$gateway_pid")" attesting
    fi
    gateway_stop
fi

# fleet_starts NUM: a store of that many devices, and a gateway over it; leaves its port and process in
# $work/NUM.port and $work/NUM.pid.
fleet_starts() {
    made "$1"
    "$BUILD/bench/make_fleet" "$work/$1.db" "$1" list | shuf >"$work/$1.ids"
    sqlite3 "$work/$1.db" "ATTACH '$gateway/gatehouse.db' AS made;
        INSERT INTO proxy SELECT * FROM made.proxy; INSERT INTO operator SELECT * FROM made.operator;
        INSERT INTO operator_certificate SELECT * FROM made.operator_certificate;"
    sync # what was just written is not to be written out while we measure
    GATEHOUSE_STORE_PATH=$work/$1.db
    export GATEHOUSE_STORE_PATH
    began=$(date +%s%N)
    started_with "${fleet_workers:-1}"
    result "fleet of $1" 'start until it listens' "$(echo "$began $(date +%s%N)" | awk '{ print ($2 - $1) / 1e9 }')" s "${2-}"
    result "fleet of $1" 'CPU until it listens' \
        "$(awk -v tick="$(getconf CLK_TCK)" '{ print ($14 + $15) / tick }' "/proc/$gateway_pid/stat")" s
    result "fleet of $1" 'resident memory' "$(awk '/^VmRSS/ { print $2 / 1024 * 1.048576 }' "/proc/$gateway_pid/status")" MB "${3-}"
    unset GATEHOUSE_STORE_PATH
    port_of proxy >"$work/$1.port"
    echo "$gateway_pid" >"$work/$1.pid"
    cp "$work/proxy.pem" "$work/$1.pem"
    cp "$work/proxy.key" "$work/$1.key"
    cp "$work/server-ca.pem" "$work/$1-ca.pem"
}
fleet_decides() { # NUM
    "$loadgen" get name=fleet at="127.0.0.1:$(cat "$work/$1.port")" anchors="$work/$1-ca.pem" cert="$work/$1.pem" \
        key="$work/$1.key" path=/v1/decisions/ pids="$(pids_of "$(cat "$work/$1.pid")")" ids="$work/$1.ids" threads=16 >>"$work/$1.cost"
}
if wanted audit; then
    say 'the audit log: an export of a million entries, and what the chain costs an attestation'
    mkdir "$work/audit"
    measured "$BUILD/bench/audit" "$gatehouse" "$work/audit" 1000000
    rm -r "$work/audit"
    attestation=$(value attest 'server CPU')
    [ -z "$attestation" ] ||
        result audit "the chain, share of an attestation's CPU" \
            "$(echo "$(value audit 'the chain, of an entry') $attestation" | awk '{ print $1 / 1000 / $2 }')" x 0.05
fi

if wanted changes; then
    say '2,000 readers of the change stream over mutual TLS on one gateway, and 100 revocations one after another'
    export GATEHOUSE_PROXY_CONNECTIONS_PER_IP=0
    fleet_workers=0
    fleet_starts 1000
    fleet_workers=1
    measured "$BUILD/bench/changes" at="127.0.0.1:$(port_of proxy)" admin="127.0.0.1:$(port_of admin)" anchors="$work/server-ca.pem" \
        cert="$work/proxy.pem" key="$work/proxy.key" admin_cert="$work/admin.pem" admin_key="$work/admin.key" \
        serials="$work/1000.ids" pids="$gateway_pid"
    gateway_stop
    unset GATEHOUSE_PROXY_CONNECTIONS_PER_IP
    rm -rf "$work/gateway-1000" "$work/1000".*
fi

if wanted ocsp; then
    say 'OCSP over keep-alive HTTP, 1,000 credentials: from the cache, and with a nonce signed anew'
    fleet_starts 1000
    for nonce in no yes; do
        if [ $nonce = no ]; then what='from the cache' floor=5000; else what='signed anew' floor=1500; fi
        measured "$BUILD/bench/ocsp" at="127.0.0.1:$(port_of public)" issuer="$gateway/ca/access.pem" serials="$work/1000.ids" \
            pids="$(pids_of "$gateway_pid")" what="$what" nonce=$nonce target=$floor
    done
    gateway_stop
    rm -rf "$work/gateway-1000" "$work/1000".*
fi

if wanted crl; then
    say 'from a revocation to the list of what is revoked: one among 200,000 credentials, then all of them'
    fleet_starts 200000
    measured "$BUILD/bench/crl" public="127.0.0.1:$(port_of public)" admin="127.0.0.1:$(port_of admin)" \
        anchors="$work/server-ca.pem" admin_cert="$work/admin.pem" admin_key="$work/admin.key" serials="$work/200000.ids" \
        num=100 all=190000
    gateway_stop
    rm -rf "$work/gateway-200000" "$work/200000".*
fi

if wanted fleet && [ "$BENCH_DEVICES" -gt 0 ]; then
    say "a fleet of $BENCH_DEVICES devices, against one of 1000"
    fleet_starts 1000
    fleet_starts "$BENCH_DEVICES" 10 400
    BENCH_SECONDS=$(awk -v s="$BENCH_SECONDS" 'BEGIN { print s / 2 }')
    for _ in 1 2 3; do
        fleet_decides 1000
        fleet_decides "$BENCH_DEVICES"
    done
    for num in 1000 "$BENCH_DEVICES"; do
        result "fleet of $num" 'a decision' "$(mean "$work/$num.cost" 'server CPU')" 'us CPU'
        stop_process "$(cat "$work/$num.pid")"
    done
    result "fleet of $BENCH_DEVICES" 'a decision, share of that at 1000' \
        "$(echo "$(value "fleet of $BENCH_DEVICES" 'a decision') $(value 'fleet of 1000' 'a decision')" | awk '{ print $1 / $2 }')" x 1.1
fi

# The same as a table for the README.
jq -rs '"| what | measured | target |", "|---|---|---|", (.[] | "| \(.bench): \(.what) | \(.value) \(.unit) | \(.target // "")" +
    (if .met == false then ", missed" else "" end) + " |")' "$results" >"$BUILD/bench/results.md"
echo
jq -rs '["what", "measured", "target", ""], (.[] | ["\(.bench): \(.what)", "\(.value) \(.unit)", .target // "",
    if .met == null then "" elif .met then "met" else "MISSED" end]) | @tsv' "$results" |
    awk -F '\t' '{ printf "%-62s %18s %10s  %s\n", $1, $2, $3, $4 }' | tee "$BUILD/bench/results.txt"
[ -z "$broken" ]
