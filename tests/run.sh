#!/bin/sh
# run.sh: runs the tests of the named kinds and adds them up. BUILD says where the programs are.
#
#   build  tests/build/*.sh   of the build itself         unit  $BUILD/tests/unit/*, programs of Check
#   fuzz   $BUILD/tests/fuzz/*, which replay their seeds  e2e   tests/e2e/*.sh, against $BUILD/gatehouse
#   vm     tests/vm/*.sh, the same with a machine that boots
#
# A script counts as a test when it has a line starting with "# test:" (and has to be executable); it prints
# "ok - claim", "not ok - claim" or "skip - claim: why". With SAN=tsan only those run that declare that
# threads meet in them: /* concurrent */ in a program's source, "# concurrent" in a script.
# Whatever crashes, hangs, or asserts nothing is a failure. The last line says "N passed, N failed".
set -u

cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
SAN=${SAN:-none}
UNIT_TIMEOUT=${UNIT_TIMEOUT:-120}
E2E_TIMEOUT=${E2E_TIMEOUT:-300}
VM_TIMEOUT=${VM_TIMEOUT:-1200}
export BUILD SAN

passed=0 failed=0 skipped=0
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' HUP INT TERM
log=$scratch/log

# Names for the addresses in a report.
if symbolizer=$(command -v llvm-symbolizer-19 || command -v llvm-symbolizer); then
    export ASAN_SYMBOLIZER_PATH="$symbolizer" TSAN_SYMBOLIZER_PATH="$symbolizer" UBSAN_SYMBOLIZER_PATH="$symbolizer"
fi

under=''
case $SAN in
asan)
    export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:detect_stack_use_after_return=1}"
    export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}"
    ;;
tsan)
    TSAN_OPTIONS="${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}"
    [ ! -f tests/build/tsan.supp ] || TSAN_OPTIONS="$TSAN_OPTIONS:suppressions=$PWD/tests/build/tsan.supp"
    export TSAN_OPTIONS
    # It wants its own address layout, which kernels with much randomness do not leave it.
    ! setarch -R true 2>/dev/null || under='setarch -R'
    ;;
esac

# bounded SECONDS COMMAND...: output to $log; the whole process group dies at the end of its time.
bounded() {
    seconds=$1
    shift
    # shellcheck disable=SC2086 # $under is words
    timeout -k 5 "$seconds" $under "$@" >"$log" 2>&1 </dev/null
}

complain() {
    sed 's/^/    /' "$log" | tail -n 200
    echo "not ok - $1"
    failed=$((failed + 1))
}

why() {
    case $1 in
    124 | 137) echo 'ran out of time' ;;
    *) if [ "$1" -gt 128 ]; then echo "died of signal $(($1 - 128))"; else echo "ended with $1"; fi ;;
    esac
}

# Programs that end with Check's summary, "100%: Checks: 12, Failures: 0, Errors: 0", or with 0 after a line
# "skip - claims: why".
run_program() {
    name=$1
    shift
    began=$(date +%s)
    bounded "$UNIT_TIMEOUT" "$@"
    code=$?
    # shellcheck disable=SC2046 # three numbers
    set -- $(awk '/^[0-9]+%: Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+/ {
                      gsub(/[^0-9 ]/, ""); n += $2; f += $3; e += $4; seen = 1
                  }
                  END { if (seen) print n, f, e }' "$log")
    if [ $# -ne 3 ] && [ $code -eq 0 ] && grep -q '^skip - ' "$log"; then
        skipped=$((skipped + 1))
        echo "$name: $(grep '^skip - ' "$log" | head -n 1)"
        return
    fi
    if [ $# -ne 3 ]; then
        complain "$name: no summary; it $(why $code)"
        return
    fi
    bad=$(($2 + $3))
    if [ "$1" -eq 0 ]; then
        complain "$name: it checks nothing"
        return
    fi
    passed=$((passed + $1 - bad))
    if [ "$bad" -gt 0 ]; then
        failed=$((failed + bad))
        sed 's/^/    /' "$log" | tail -n 200
    elif [ $code -ne 0 ]; then
        complain "$name: every check passed, yet it $(why $code)"
        return
    fi
    took=$(($(date +%s) - began))
    echo "$name: $(grep -E '^[0-9]+%: Checks: ' "$log" | tail -n 1)$([ $took -lt 2 ] || echo " ($took s)")"
}

run_script() { # SCRIPT SECONDS
    began=$(date +%s)
    bounded "$2" "./$1"
    code=$?
    # shellcheck disable=SC2046 # three numbers
    set -- "$1" $(awk '/^ok - /{o++} /^not ok - /{n++} /^skip - /{s++} END{print o + 0, n + 0, s + 0}' "$log")
    passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
    echo "# $1 ($(($(date +%s) - began)) s)"
    if [ "$3" -gt 0 ]; then
        sed 's/^/    /' "$log" | tail -n 200
    fi
    grep -E '^(ok|not ok|skip) - ' "$log"
    if [ $code -ne 0 ] && [ "$3" -eq 0 ]; then
        complain "$1: it $(why $code) without a failed claim"
    elif [ $(($2 + $3 + $4)) -eq 0 ]; then
        complain "$1: it claims nothing"
    fi
}

run_scripts() { # FOLDER SECONDS
    for script in "$1"/*.sh; do
        grep -q '^# test:' "$script" || continue
        if [ ! -x "$script" ]; then
            echo "not ok - $script: it is a test that nobody may execute"
            failed=$((failed + 1))
            continue
        fi
        [ "$SAN" != tsan ] || grep -q '^# concurrent' "$script" || continue
        run_script "$script" "$2"
    done
}

seeds() {
    for dir in "tests/fuzz/seeds/$1" "tests/fuzz/seeds/${1#fuzz_}"; do
        [ ! -d "$dir" ] || echo "$dir"
    done
}

for kind in "$@"; do
    case $kind in
    build) run_scripts tests/build "$E2E_TIMEOUT" ;;
    e2e) run_scripts tests/e2e "$E2E_TIMEOUT" ;;
    vm) run_scripts tests/vm "$VM_TIMEOUT" ;;
    unit)
        for source in tests/unit/test_*.c; do
            [ -f "$source" ] || continue
            [ "$SAN" != tsan ] || grep -qF '/* concurrent */' "$source" || continue
            name=$(basename "$source" .c)
            run_program "$name" "$BUILD/tests/unit/$name"
        done
        ;;
    fuzz)
        for source in tests/fuzz/fuzz_*.c; do
            [ -f "$source" ] || continue
            name=$(basename "$source" .c)
            # shellcheck disable=SC2046 # folders
            run_program "$name" "$BUILD/tests/fuzz/$name" $(seeds "$name")
        done
        ;;
    *)
        echo "run.sh: unknown kind $kind" >&2
        exit 2
        ;;
    esac
done

total="$passed passed, $failed failed"
[ "$skipped" -eq 0 ] || total="$total, $skipped skipped"
echo "$total"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
