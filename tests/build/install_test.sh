#!/bin/sh
# test: make install puts the program and what belongs to it where they are looked for
set -u

cd "$(dirname "$0")/../.." || exit 1
if [ ! -f "${BUILD:-build}/gatehouse" ]; then
    echo 'skip - make install is complete: the program is not built'
    exit 0
fi
root=$(mktemp -d) || exit 1
trap 'rm -rf "$root"' EXIT
failed=0
claim() {
    text=$1
    shift
    if "$@" >"$root/log" 2>&1; then
        echo "ok - $text"
    else
        cat "$root/log"
        echo "not ok - $text"
        failed=1
    fi
}

claim 'it installs below DESTDIR and PREFIX' make --no-print-directory install DESTDIR="$root/out" PREFIX=/usr
claim 'the program is there, and starts' "$root/out/usr/bin/gatehouse" --version
claim 'the unit starts that very program' \
    grep -q '^ExecStart=/usr/bin/gatehouse ' "$root/out/usr/lib/systemd/system/gatehouse.service"
claim 'no placeholder is left in the unit' sh -c "! grep '@[a-z]*@' '$root/out/usr/lib/systemd/system/gatehouse.service'"
claim 'the user is declared' grep -q '^u gatehouse ' "$root/out/usr/lib/sysusers.d/gatehouse.conf"
claim 'the annotated configuration comes along' test -s "$root/out/usr/share/doc/gatehouse/gatehouse.ini"
claim 'nothing is installed anywhere else' sh -c "! find '$root/out' -type f | grep -v '^$root/out/usr/'"
exit $failed
