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

. "$demo/device.sh"
[ ! -e "$demo/gateway.sh" ] || . "$demo/gateway.sh"

clean_up() {
    trap - EXIT HUP INT TERM
    stop_processes
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

finish() {
    if [ $failed -gt 0 ] && [ -s "${log-}" ]; then
        echo "    the gateway's log ends with:"
        tail -n 30 "$log" | sed 's/^/    /'
    fi
    [ $failed -eq 0 ]
    exit
}
