#!/bin/sh
# test: the systemd units are valid, and confine the services
set -u

cd "$(dirname "$0")/../.." || exit 1
if ! systemd-analyze security --help >/dev/null 2>&1; then
    echo 'skip - the unit is valid: there is no systemd here'
    exit 0
fi
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
failed=0

# unit_is_good FILE PROGRAM TENTHS: valid, and exposed by no more than that (0 is confined, 100 is not).
unit_is_good() {
    name=$(basename "$1")
    unit=$scratch/$name
    sed "s|@bindir@/$2|/bin/true|" "$1" >"$unit"
    if systemd-analyze verify --man=no "$unit" >"$scratch/log" 2>&1 && [ ! -s "$scratch/log" ]; then
        echo "ok - $name is valid"
    else
        cat "$scratch/log"
        echo "not ok - $name is valid"
        failed=1
    fi
    if systemd-analyze security --offline=true --threshold="$3" "$unit" >"$scratch/log" 2>&1; then
        echo "ok - systemd rates the exposure of $name $3 tenths or less"
    else
        grep -v '✓' "$scratch/log"
        echo "not ok - systemd rates the exposure of $name $3 tenths or less"
        failed=1
    fi
}

unit_is_good deploy/systemd/gatehouse.service gatehouse 20
# Root, because of the event log and the TPM.
unit_is_good deploy/device/gatehouse-device.service gatehouse-device 30
cp deploy/device/gatehouse-device.timer "$scratch/"
if systemd-analyze verify --man=no "$scratch/gatehouse-device.timer" >"$scratch/log" 2>&1 && [ ! -s "$scratch/log" ]; then
    echo 'ok - its timer is valid'
else
    cat "$scratch/log"
    echo 'not ok - its timer is valid'
    failed=1
fi
exit $failed
