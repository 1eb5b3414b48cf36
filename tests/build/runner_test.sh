#!/bin/sh
# test: the test runner adds up rightly, and takes nothing for a pass that is none
set -u

here=$(cd "$(dirname "$0")/.." && pwd)
tree=$(mktemp -d) || exit 1
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/tests/unit" "$tree/tests/e2e" "$tree/tests/vm" "$tree/build/tests/unit"
cp "$here/run.sh" "$tree/tests/"
failed=0

# expect CLAIM CODE LAST-LINE KINDS...: what a run of the tree has to end with.
expect() {
    claim=$1 code=$2 last=$3
    shift 3
    got=0
    BUILD=build SAN=none UNIT_TIMEOUT=2 E2E_TIMEOUT=2 VM_TIMEOUT=3 sh "$tree/tests/run.sh" "$@" >"$tree/out" 2>&1 || got=$?
    if [ "$(tail -n 1 "$tree/out")" = "$last" ] && [ "$got" -eq "$code" ]; then
        echo "ok - $claim"
    else
        echo "not ok - $claim: ended with $got and '$(tail -n 1 "$tree/out")'"
        failed=1
    fi
}
unit() {
    rm -f "$tree"/tests/unit/* "$tree"/build/tests/unit/*
    : >"$tree/tests/unit/test_x.c"
    printf '#!/bin/sh\n%s\n' "$1" >"$tree/build/tests/unit/test_x"
    chmod +x "$tree/build/tests/unit/test_x"
}
script() { # KIND TEXT
    printf '#!/bin/sh\n# test: x\n%s\n' "$2" >"$tree/tests/$1/x.sh"
    chmod +x "$tree/tests/$1/x.sh"
}
e2e() { script e2e "$1"; }

unit 'echo "100%: Checks: 7, Failures: 0, Errors: 0"'
expect 'a program that passes counts each check' 0 '7 passed, 0 failed' unit
unit 'echo "60%: Checks: 5, Failures: 1, Errors: 1"; exit 1'
expect 'a program that fails counts each failure' 1 '3 passed, 2 failed' unit
unit 'echo "60%: Checks: 5, Failures: 1, Errors: 1"'
expect 'a failure counts even when the program ends with 0' 1 '3 passed, 2 failed' unit
unit 'echo "100%: Checks: 0, Failures: 0, Errors: 0"'
expect 'a program without a check fails' 1 '0 passed, 1 failed' unit
unit 'exit 0'
expect 'a program without a summary fails' 1 '0 passed, 1 failed' unit
unit 'echo "skip - x: nothing to read"'
expect 'a program that skips its claims is no pass' 1 '0 passed, 0 failed, 1 skipped' unit
: >"$tree/tests/unit/test_y.c"
printf '#!/bin/sh\necho "100%%: Checks: 1, Failures: 0, Errors: 0"\n' >"$tree/build/tests/unit/test_y"
chmod +x "$tree/build/tests/unit/test_y"
expect 'but none in the way of others' 0 '1 passed, 0 failed, 1 skipped' unit
unit 'echo "skip - x: nothing to read"; exit 1'
expect 'a program that skips and fails fails' 1 '0 passed, 1 failed' unit
unit 'echo "100%: Checks: 5, Failures: 0, Errors: 0"; kill -SEGV $$'
expect 'a program that dies after its summary fails' 1 '5 passed, 1 failed' unit
unit 'sleep 60'
expect 'a program that hangs is ended and fails' 1 '0 passed, 1 failed' unit
rm -f "$tree/build/tests/unit/test_x"
expect 'a program that was not built fails' 1 '0 passed, 1 failed' unit
rm -f "$tree"/tests/unit/*
expect 'nothing to run is no pass' 1 '0 passed, 0 failed' unit

e2e 'echo "ok - x"'
chmod -x "$tree/tests/e2e/x.sh"
expect 'a script that nobody may execute is not passed over' 1 '0 passed, 1 failed' e2e
e2e 'echo "ok - a"; echo "ok - b"; echo "skip - c: no reason"'
expect 'a script counts its claims, and what it skips' 0 '2 passed, 0 failed, 1 skipped' e2e
e2e 'echo "ok - a"; echo "not ok - b"; exit 1'
expect 'a claim that does not hold fails' 1 '1 passed, 1 failed' e2e
e2e 'echo "ok - a"; exit 3'
expect 'a script that ends badly without a failed claim fails' 1 '1 passed, 1 failed' e2e
e2e 'exit 0'
expect 'a script that claims nothing fails' 1 '0 passed, 1 failed' e2e
e2e 'echo "ok - a"; sleep 60'
expect 'a script that hangs is ended and fails' 1 '1 passed, 1 failed' e2e
unit 'echo "100%: Checks: 7, Failures: 0, Errors: 0"'
e2e 'echo "ok - a"'
expect 'the kinds are added up' 0 '8 passed, 0 failed' unit e2e
script vm 'echo "ok - a"; sleep 2.5'
expect 'a machine is given more time to boot than the other scripts have' 0 '9 passed, 0 failed' unit e2e vm
script vm 'echo "ok - a"; sleep 60'
expect 'and is ended all the same' 1 '1 passed, 1 failed' vm
exit $failed
