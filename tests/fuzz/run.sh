#!/bin/sh
# run.sh: runs each fuzzer in turn for FUZZ_SECONDS. What it learns is kept under $BUILD/corpus, never in
# the source tree; an input that breaks a target is left in $BUILD/crashes and named at the end.
set -u

cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build/fuzz}
FUZZ_SECONDS=${FUZZ_SECONDS:-20}
passed=0 failed=0

for source in tests/fuzz/fuzz_*.c; do
    [ -f "$source" ] || continue
    name=$(basename "$source" .c)
    corpus=$BUILD/corpus/$name crashes=$BUILD/crashes/$name
    mkdir -p "$corpus" "$crashes"
    set -- "$corpus"
    for seeds in "tests/fuzz/seeds/$name" "tests/fuzz/seeds/${name#fuzz_}"; do
        [ ! -d "$seeds" ] || set -- "$@" "$seeds"
    done
    if timeout -k 10 $((FUZZ_SECONDS + 120)) "$BUILD/fuzzers/$name" -max_total_time="$FUZZ_SECONDS" -timeout=10 \
        -rss_limit_mb=2048 -artifact_prefix="$crashes/" -print_final_stats=1 "$@" >"$BUILD/$name.log" 2>&1; then
        passed=$((passed + 1))
        echo "ok - $name: $(awk '/number_of_executed_units/ { print $2 }' "$BUILD/$name.log") inputs"
    else
        failed=$((failed + 1))
        tail -n 60 "$BUILD/$name.log"
        echo "not ok - $name: see $crashes and $BUILD/$name.log"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
