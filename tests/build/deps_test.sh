#!/bin/sh
# test: make deps finds out fast that there is nothing to do, and takes its mirror from the system
set -u

cd "$(dirname "$0")/../.." || exit 1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
failed=0

ok() { echo "ok - $1"; }
not_ok() { echo "not ok - $1"; failed=1; }

if [ -f .deps/ready ]; then
    # In a network namespace of its own there is not even a loopback interface.
    alone=''
    ! unshare --net true 2>/dev/null || alone='unshare --net'
    needed='' quick=''
    for attempt in 1 2 3; do # the machine may have other work just now
        began=$(date +%s%N)
        # shellcheck disable=SC2086 # words
        $alone make --no-print-directory deps >"$scratch/log" 2>&1 || { cat "$scratch/log"; needed=yes; }
        took=$((($(date +%s%N) - began) / 1000000))
        if [ "$took" -lt 1000 ]; then quick=yes && break; fi
        sleep "$attempt"
    done
    if [ -z "$needed" ]; then ok 'make deps with nothing to do needs no network'; else not_ok 'make deps with nothing to do needs no network'; fi
    if [ -n "$quick" ]; then ok 'and it takes less than a second'; else not_ok "and it takes less than a second: $took ms"; fi
else
    echo 'skip - make deps with nothing to do is quick: it has not been run'
fi

# A system that has nothing: what is missing is named, and nothing is done about it.
mkdir "$scratch/bin"
printf '#!/bin/sh\n' >"$scratch/bin/dpkg-query"
printf '#!/bin/sh\ntouch "%s/installed"\n' "$scratch" >"$scratch/bin/apt-get"
chmod +x "$scratch/bin/dpkg-query" "$scratch/bin/apt-get"
if PATH=$scratch/bin:$PATH DEPS=vm CHECK=1 sh deploy/deps.sh >"$scratch/log" 2>&1; then
    not_ok 'a check for packages fails where they are missing'
else
    ok 'a check for packages fails where they are missing'
fi
if grep -q 'missing for DEPS=vm: .* ovmf ' "$scratch/log"; then ok 'and names them'; else not_ok "and names them: $(cat "$scratch/log")"; fi
if [ ! -e "$scratch/installed" ]; then ok 'and installs nothing'; else not_ok 'and installs nothing'; fi
if PATH=$scratch/bin:$PATH make --no-print-directory test-vm SKIP_MISSING=1 >"$scratch/log" 2>&1 && grep -q '^skip - ' "$scratch/log"; then
    ok 'told to skip what is missing, make test-vm does so'
else
    not_ok "told to skip what is missing, make test-vm does so: $(cat "$scratch/log")"
fi
printf '#!/bin/sh\nexit 100\n' >"$scratch/bin/apt-get"
if PATH=$scratch/bin:$PATH DEPS_DIR=$scratch/deps sh tests/vm/fetch.sh >"$scratch/log" 2>&1; then
    not_ok 'a boot chain that apt does not bring is an error'
else
    ok 'a boot chain that apt does not bring is an error'
fi
if [ "$(ls "$scratch/deps")" = lock ]; then ok 'and leaves nothing'; else not_ok "and leaves nothing: $(ls "$scratch/deps")"; fi
if DEPS=nonsense CHECK=1 sh deploy/deps.sh >/dev/null 2>&1; then
    not_ok 'a group of packages that is not known is refused'
else
    ok 'a group of packages that is not known is refused'
fi

# reads CLAIM EXPECTED: what mirror.sh makes of $scratch/apt, one line a mirror, joined by commas.
reads() {
    got=$(APT_DIR=$scratch/apt CODENAME=bookworm sh deploy/mirror.sh | paste -s -d,)
    if [ "$got" = "$2" ]; then ok "$1"; else not_ok "$1: '$got'"; fi
    rm -rf "$scratch/apt"
    mkdir -p "$scratch/apt/sources.list.d"
}
mkdir -p "$scratch/apt/sources.list.d"
reads 'no source, no mirror' ''

cat >"$scratch/apt/sources.list" <<'LIST'
# deb http://commented.test/debian bookworm main
deb http://a.test/debian bookworm main contrib
deb-src http://src.test/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://a.test/security bookworm-security main
deb http://a.test/debian bookworm-updates main
LIST
reads 'the one-line notation is read' 'archive http://a.test/debian,security http://a.test/security'

cat >"$scratch/apt/sources.list.d/debian.sources" <<'LIST'
Types: deb deb-src
# between the fields
URIs: http://b.test/debian
 http://c.test/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /k.gpg

Types: deb
URIs: http://b.test/security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.test/debian
Suites: bookworm

Types: deb-src
URIs: http://src.test/debian
Suites: bookworm
LIST
reads 'the deb822 notation is read' \
    'archive http://b.test/debian,archive http://c.test/debian,security http://b.test/security'

echo 'deb http://other.test/packages stable main' >"$scratch/apt/sources.list.d/other.list"
reads 'another vendor'\''s source is no mirror of Debian' ''

exit $failed
