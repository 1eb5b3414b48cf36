#!/bin/sh
# test: the demo does what it says, and leaves nothing behind
cd "$(dirname "$0")" && . ./lib.sh

# The brackets keep grep from finding itself.
nothing_runs() { ! grep -ls "$work/tmp/[g]atehouse-demo" /proc/[0-9]*/cmdline; }

mkdir "$work/tmp"
TMPDIR=$work/tmp BUILD=${gatehouse%/gatehouse} sh "$demo/demo.sh" >"$work/demo.out" 2>&1 &
story=$!
started="$started $story"
wait $story
same 'the demo ends with 0' 0 $?
tail -n 1 "$work/demo.out" | grep -q '^Done: ' || not_ok 'it comes to its end' "$(tail -n 25 "$work/demo.out")"
claim 'its folder is gone' test -z "$(ls -A "$work/tmp")"
claim 'no process of it is left' nothing_runs
claim 'it prints no colours into a pipe' sh -c '! grep -q "$(printf "\033")" "$1"' sh "$work/demo.out"
for code in log_does_not_replay untrusted nonce_used nonce_mismatch nonce_unknown; do
    claim "it shows $code" grep -q -e " $code\$" -e "($code)\$" "$work/demo.out"
done

# Interrupted in the middle, it cleans up just as well.
TMPDIR=$work/tmp BUILD=${gatehouse%/gatehouse} sh "$demo/demo.sh" >"$work/demo.out" 2>&1 &
story=$!
started="$started $story"
wait_for 20 grep -q '^ 5\. ' "$work/demo.out"
kill -TERM $story
wait $story
claim 'interrupted, it says so' test $? -ne 0
claim 'and its folder is gone' test -z "$(ls -A "$work/tmp")"
claim 'no process of it is left either' nothing_runs
finish
