# shellcheck shell=sh disable=SC2034 # what is set here is used by the tests
# lib.sh: what the end-to-end tests share, to be sourced with the test's own folder as the current one:
#
#   cd "$(dirname "$0")" && . ./lib.sh
#
# It makes $work, a folder that goes away with the test, brings in the simulated device and the gateway of
# deploy/demo, and counts claims. A test ends with `finish`.
set -u

root=$(cd ../.. && pwd)
cd "$root" || exit 1
BUILD=${BUILD:-build}
case $BUILD in /*) gatehouse=$BUILD/gatehouse ;; *) gatehouse=$root/$BUILD/gatehouse ;; esac
data=${GATEHOUSE_DATA:-$root/../shared/data}
demo=$root/deploy/demo
work=$(mktemp -d "${TMPDIR:-/tmp}/gatehouse.XXXXXX") || exit 1
failed=0
export LC_ALL=C TZ=UTC0

# shellcheck source=deploy/demo/device.sh
. "$demo/device.sh"
# shellcheck source=deploy/demo/gateway.sh
. "$demo/gateway.sh"

clean_up() {
    trap - EXIT HUP INT TERM
    stop_processes
    ! command -v at_end >/dev/null || at_end
    [ -n "${KEEP-}" ] || rm -rf "$work"
}
trap clean_up EXIT
trap 'clean_up; exit 130' HUP INT TERM

ok() { echo "ok - $1"; }
not_ok() {
    echo "not ok - $1"
    shift
    [ $# -eq 0 ] || printf '    %s\n' "$@"
    failed=$((failed + 1))
}
skip() { echo "skip - $1: $2"; }

# claim TEXT COMMAND...: the command succeeds.
claim() {
    claimed=$1
    shift
    if "$@" >"$work/claim.out" 2>&1; then
        ok "$claimed"
    else
        not_ok "$claimed" "failed: $*" "$(tail -n 20 "$work/claim.out")"
    fi
}

# same TEXT WANTED FOUND
same() {
    if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "wanted: $2" "found:  $3"; fi
}

# must TEXT COMMAND...: without this step the rest makes no sense.
must() {
    claimed=$1
    shift
    "$@" >"$work/must.out" 2>&1 && return
    not_ok "$claimed" "failed: $*" "$(tail -n 20 "$work/must.out")"
    finish
}

# answered TEXT STATUS [CODE]: how the last call was answered.
answered() {
    if [ $# -eq 2 ]; then same "$1" "$2" "$status"; else same "$1" "$2 $3" "$status $(field .code)"; fi
}

# a_gateway DEVICE...: devices of one vendor, booted and with keys; a gateway that serves, trusts the vendor and
# knows the model acme-edge9 with the first device's boot as its baseline. Enrolment is not limited.
a_gateway() {
    must 'a vendor is there' vendor_new acme
    for device in "$@"; do
        must "$device is made" device_new "$device" acme
        must "$device boots" device_boot "$device"
        must "$device makes keys" device_keys "$device"
    done
    must 'gatehouse init' gateway_init acme
    export GATEHOUSE_ENROLMENT_PENDING_PER_IP=1000 GATEHOUSE_ENROLMENT_PER_IP_PER_MINUTE=100000
    must 'gatehouse serve' gateway_start
    must 'a model and its baseline' gateway_model acme-edge9 "$1"
}

# enrolled DEVICE...: they are, and have a credential each.
enrolled() {
    for device in "$@"; do
        must "$device enrols" device_enrols "$device" acme-edge9
        device_attests "$device"
        [ "$status" = 201 ] || must "$device attests" cat "$answer" /nowhere
    done
}

finish() {
    if [ $failed -gt 0 ] && [ -s "${log-}" ]; then
        echo "    the gateway's log ends with:"
        tail -n 30 "$log" | sed 's/^/    /'
    fi
    [ $failed -eq 0 ]
    exit
}
