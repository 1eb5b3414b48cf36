#!/bin/sh
# test: the finished program carries every protection that its flags ask for
set -u

cd "$(dirname "$0")/../.." || exit 1
program=${BUILD:-build}/gatehouse
failed=0

# claim TEXT COMMAND...: holds when the command succeeds.
claim() {
    text=$1
    shift
    if "$@" >/dev/null 2>&1; then
        echo "ok - $text"
    else
        echo "not ok - $text"
        failed=1
    fi
}
has() { grep -Eq "$1" "$2"; }
lacks() { ! grep -Eq "$1" "$2"; }

if [ ! -f "$program" ]; then
    echo "skip - the program is hardened: $program is not built"
    exit 0
fi
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
readelf -hW "$program" >"$scratch/header"
readelf -lW "$program" >"$scratch/segments"
readelf -dW "$program" >"$scratch/dynamic"
readelf --dyn-syms -W "$program" >"$scratch/symbols"
readelf --debug-dump=info --dwarf-depth=1 -W "$program" >"$scratch/units" 2>/dev/null

claim 'it is position-independent' has 'Type: +DYN' "$scratch/header"
claim 'it declares itself a PIE' has 'FLAGS_1.*PIE' "$scratch/dynamic"
claim 'relocated data is made read-only' has 'GNU_RELRO' "$scratch/segments"
claim 'every symbol is bound at start' has '\(FLAGS(_1)?\).*NOW' "$scratch/dynamic"
claim 'its stack is not executable' has 'GNU_STACK .* RW +' "$scratch/segments"
claim 'no segment is writable and executable' lacks 'LOAD .* (RWE|WE)' "$scratch/segments"
claim 'no code is relocated' lacks 'TEXTREL' "$scratch/dynamic"
claim 'it searches no library path of its own' lacks 'RPATH|RUNPATH' "$scratch/dynamic"
claim 'its stack frames carry canaries' has '__stack_chk_fail' "$scratch/symbols"
claim 'its string and memory calls are checked' has '__(memcpy|memset|snprintf|vsnprintf|read|fprintf)_chk' "$scratch/symbols"

# GCC notes its flags beside each unit that it compiled; clang does not.
if grep -q 'DW_AT_producer.*GNU C17.*-std=c17' "$scratch/units"; then
    grep 'DW_AT_producer.*-std=c17' "$scratch/units" >"$scratch/ours"
    claim 'large stack frames are probed page by page' has 'stack-clash-protection' "$scratch/ours"
else
    echo 'skip - large stack frames are probed page by page: this compiler does not note its flags'
fi

objdump -d --no-show-raw-insn --disassemble=main "$program" >"$scratch/main"
case $(uname -m) in
x86_64) claim 'indirect branches land on marks' has 'endbr64' "$scratch/main" ;;
aarch64) claim 'indirect branches land on marks' has 'bti|paciasp' "$scratch/main" ;;
*) echo "skip - indirect branches land on marks: not on $(uname -m)" ;;
esac
exit $failed
