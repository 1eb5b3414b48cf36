# shellcheck shell=sh disable=SC2154 # variables are shared with the other parts
# http.sh: requests to the gateway. TLS 1.3, only the CA file is trusted; bounded in time and number, with full
# jitter between tries. A verdict is never asked for twice: only 429, 502, 503, 504 and what never arrived is.

# random_below N: 0 to N-1.
random_below() {
    [ "$1" -gt 1 ] || { echo 0; return; }
    echo $(($(od -An -N4 -tu4 /dev/urandom | tr -d ' ') % $1))
}

# pause MILLISECONDS
pause() {
    sleep "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))" 2>/dev/null || sleep $((($1 + 999) / 1000))
}

# http_once METHOD URL BODY IDENTITY: one request; BODY is a file, IDENTITY a directory with key.pem and
# certificate.pem or "". Leaves $http_status, $work/answer and $work/headers; fails with curl's own code.
http_once() {
    http_identity=${4-}
    set -- curl -q -sS -X "$1" --data-binary "@$3" ${4:+--cert "$4/certificate.pem" --key "$4/key.pem"} \
        --proto =https --tlsv1.3 --cacert "$conf_ca_file" --capath "$work/none" \
        --connect-timeout "$conf_connect_timeout" --max-time "$conf_timeout" --max-filesize 1048576 \
        -A "gatehouse-device/$version" -H 'Content-Type: application/json' -H 'Expect:' \
        -o "$work/answer" -D "$work/headers" -w '%{http_code}' "$2"
    if [ -n "$http_identity" ] && [ "$(key_protection "$http_identity")" = tpm ]; then
        set -- env "OPENSSL_CONF=$state/openssl.cnf" "$@"
    fi
    : >"$work/answer"
    : >"$work/headers"
    http_status=$("$@" </dev/null 2>"$work/curl.err")
}

# retry_after: the seconds that the last answer asks for, or nothing.
retry_after() {
    sed -n 's/^[Rr][Ee][Tt][Rr][Yy]-[Aa][Ff][Tt][Ee][Rr]: *\([0-9]\{1,6\}\)[[:space:]]*$/\1/p' "$work/headers" | head -n 1
}

# back_off TRIES: waits what the gateway asked for, and a random part of a bound that doubles with each try.
back_off() {
    bound=$((conf_backoff * 1000))
    doubled=1
    while [ $doubled -lt "$1" ] && [ $bound -lt $((conf_backoff_max * 1000)) ]; do
        bound=$((bound * 2))
        doubled=$((doubled + 1))
    done
    [ $bound -lt $((conf_backoff_max * 1000)) ] || bound=$((conf_backoff_max * 1000))
    asked=$(retry_after)
    if [ "${asked:-0}" -gt $((conf_backoff_max * 10)) ]; then
        die $exit_later "the gateway is busy and asks to come back in $asked s"
    fi
    pause $((${asked:-0} * 1000 + $(random_below $((bound + 1)))))
}

curl_says() { printable "$(sed 's/^curl: //' "$work/curl.err" | tail -n 1)"; }

# http METHOD URL BODY IDENTITY: the same, with patience. Ends the program when there was no answer to be had.
http() {
    [ -r "$conf_ca_file" ] || die $exit_local "the CA file $conf_ca_file cannot be read"
    http_try=1
    while :; do
        http_failed=0
        http_once "$@" || http_failed=$?
        case $http_failed in
        0)
            case $http_status in 429 | 502 | 503 | 504) ;; *) return 0 ;; esac
            why="it answers $http_status $(answer_code)"
            ;;
        58) die $exit_local "the device's own key or certificate cannot be used: $(curl_says)" ;;
        60 | 77) die $exit_later "the gateway's certificate is not by an authority in $conf_ca_file: $(curl_says)" ;;
        *) why=$(curl_says) ;;
        esac
        [ $http_try -lt "$conf_tries" ] ||
            die $exit_later "the gateway cannot be reached at $2, after $http_try tries: $why. Try again later."
        say "try $http_try of $conf_tries at $2: $why"
        back_off $http_try
        http_try=$((http_try + 1))
    done
}

# answer_field JQ: of the last answer.
answer_field() { jq -r "$1 // empty" "$work/answer" 2>/dev/null || :; }
