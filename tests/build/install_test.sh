#!/bin/sh
# test: make install and make install-device put what belongs together where it is looked for
set -u

cd "$(dirname "$0")/../.." || exit 1
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

# --- the client for devices, which takes no build

device=$root/device
claim 'the device client installs below DESTDIR and PREFIX' \
    make --no-print-directory install-device DESTDIR="$device" PREFIX=/usr
claim 'no placeholder is left in it' sh -c "! grep -r '@[a-z]*@' '$device/usr/bin' '$device/usr/lib/systemd'"
claim 'it looks for its parts where they are' grep -q '^lib=/usr/lib/gatehouse-device$' "$device/usr/bin/gatehouse-device"
claim 'all of them are there' sh -c "grep -o 'lib/[a-z0-9]*[.]sh\"' '$device/usr/bin/gatehouse-device' | tr -d '\"' | sed 's|^lib/||' |
    while read -r part; do test -s '$device/usr/lib/gatehouse-device/'\$part || exit 1; done"
claim 'and what OpenSSL needs for keys in the TPM' cmp -s deploy/device/openssl.cnf "$device/usr/lib/gatehouse-device/openssl.cnf"
claim 'somewhere else, it starts' make --no-print-directory install-device PREFIX="$root/there"
claim 'and knows its version' sh -c "'$root/there/bin/gatehouse-device' --version | grep -q '^gatehouse-device [0-9]'"
claim 'its unit starts that very program' \
    grep -q '^ExecStart=/usr/bin/gatehouse-device attest' "$device/usr/lib/systemd/system/gatehouse-device.service"
claim 'it has a timer' test -s "$device/usr/lib/systemd/system/gatehouse-device.timer"
claim 'its manual page' test -s "$device/usr/share/man/man8/gatehouse-device.8"
claim 'and a sample configuration' test -s "$device/usr/share/doc/gatehouse-device/gatehouse-device.conf"
claim 'nothing of it is anywhere else' sh -c "! find '$device' -type f | grep -v '^$device/usr/'"
if command -v mandoc >/dev/null; then
    # What it says of pages of other packages depends on the machine.
    claim 'the manual page is well formed' sh -c "! mandoc -T lint -W warning '$device/usr/share/man/man8/gatehouse-device.8' |
        grep -v 'outdated mandoc.db'"
else
    echo 'skip - the manual page is well formed: there is no mandoc'
fi

# --- the gateway

if [ ! -f "${BUILD:-build}/gatehouse" ]; then
    echo 'skip - make install is complete: the program is not built'
    exit $failed
fi
claim 'it installs below DESTDIR and PREFIX' make --no-print-directory install DESTDIR="$root/out" PREFIX=/usr
claim 'the program is there, and starts' "$root/out/usr/bin/gatehouse" --version
claim 'the unit starts that very program' \
    grep -q '^ExecStart=/usr/bin/gatehouse ' "$root/out/usr/lib/systemd/system/gatehouse.service"
claim 'no placeholder is left in the unit' sh -c "! grep '@[a-z]*@' '$root/out/usr/lib/systemd/system/gatehouse.service'"
claim 'the user is declared' grep -q '^u gatehouse ' "$root/out/usr/lib/sysusers.d/gatehouse.conf"
claim 'the annotated configuration comes along' test -s "$root/out/usr/share/doc/gatehouse/gatehouse.ini"
claim 'nothing is installed anywhere else' sh -c "! find '$root/out' -type f | grep -v '^$root/out/usr/'"
exit $failed
