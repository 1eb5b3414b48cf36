#!/bin/sh
# test: the systemd unit is valid, and confines the service
set -u

cd "$(dirname "$0")/../.." || exit 1
if ! systemd-analyze security --help >/dev/null 2>&1; then
    echo 'skip - the unit is valid: there is no systemd here'
    exit 0
fi
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
failed=0
unit=$scratch/gatehouse.service
sed 's|@bindir@/gatehouse|/bin/true|' deploy/systemd/gatehouse.service >"$unit"

if systemd-analyze verify "$unit" >"$scratch/log" 2>&1 && [ ! -s "$scratch/log" ]; then
    echo 'ok - the unit is valid'
else
    cat "$scratch/log"
    echo 'not ok - the unit is valid'
    failed=1
fi
# 0 is confined, 10 is not; in tenths.
if systemd-analyze security --offline=true --threshold=20 "$unit" >"$scratch/log" 2>&1; then
    echo 'ok - systemd rates its exposure 2.0 or less'
else
    grep -v '✓' "$scratch/log"
    echo 'not ok - systemd rates its exposure 2.0 or less'
    failed=1
fi
exit $failed
