#!/bin/sh
# lint.sh: every linter in turn; all of them run, and any finding fails. COMPILE is the compiler with its
# flags, as make uses it. NAMES= limits the C files that are looked at.
set -u

cd "$(dirname "$0")/../.." || exit 1
: "${COMPILE:?is set by make lint}"
failed=0

pick() { command -v "$1-19" || command -v "$1" || echo "$1"; }
fail() { echo "not ok - $1"; failed=1; }
ok() { echo "ok - $1"; }

sources=${NAMES:-$(find config db api server tests -name '*.c' 2>/dev/null | sort)}
headers=$(find config db api server tests -name '*.h' 2>/dev/null | sort)
scripts=$(find .ci deploy tests -type f 2>/dev/null | sort | while read -r file; do
    ! head -n 1 "$file" | grep -q '^#! */bin/sh' || echo "$file"
done)

# shellcheck disable=SC2086 # words, here and below
if $(pick clang-format) --dry-run -Werror $sources $headers; then ok 'formatting'; else fail 'formatting: make fmt mends it'; fi

code=$(echo "$sources" | grep -v '^tests/')

alone=0
for header in $headers; do
    echo "#include \"$header\"" | eval "$COMPILE -fsyntax-only -x c -" ||
        { alone=1; echo "$header does not compile alone"; }
done
if [ $alone -eq 0 ]; then ok 'every header compiles alone'; else fail 'headers'; fi

# Tests are left out of these two: they do on purpose what is wrong, and neither tool sees that a failed
# assertion ends them. What follows the compiler's own name in COMPILE are its flags, quoted for a shell.
flags=${COMPILE#* }
if echo "$code" | xargs -P "$(nproc)" -n 4 sh -c '
    tidy=$1 flags=$2; shift 2
    eval "\"\$tidy\" --quiet \"\$@\" -- $flags" 2>/dev/null' sh "$(pick clang-tidy)" "$flags"; then
    ok 'clang-tidy'
else
    fail 'clang-tidy'
fi

if cppcheck --quiet --std=c11 --language=c --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
    -j "$(nproc)" -I. -D_GNU_SOURCE -D__GNUC__ --suppress=missingInclude \
    --suppress=unknownMacro --suppress=normalCheckLevelMaxBranches $code; then
    ok 'cppcheck'
else
    fail 'cppcheck'
fi

if shellcheck -S warning -s sh $scripts; then ok 'shellcheck'; else fail 'shellcheck'; fi

if grep -rnE '\b(TODO|FIXME|XXX)\b' --include='*.[ch]' --include='*.sh' --exclude=lint.sh --include='*.ini' \
    config db api server tests deploy .ci Makefile 2>/dev/null; then
    fail 'no unfinished business'
else
    ok 'no unfinished business'
fi
exit $failed
