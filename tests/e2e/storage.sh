#!/bin/sh
# test: a full disk is the gateway's trouble, and no device's
cd "$(dirname "$0")" && . ./lib.sh

small=$work/small
mkdir "$small"
if [ "$(id -u)" -ne 0 ] || ! mount -t tmpfs -o size=3m tmpfs "$small" 2>/dev/null; then
    skip 'a full disk answers 503 and leaves verdicts as they are' 'it takes a tmpfs, which takes root'
    finish
fi
at_end() { umount "$small"; }

export GATEHOUSE_STORE_PATH="$small/gatehouse.db"
vendor_new acme
must 'a device is made' device_new edge acme
must 'it boots' device_boot edge
must 'it makes keys' device_keys edge
must 'gatehouse init' gateway_init acme
cp "$gateway"/gatehouse.db* "$small/"
must 'it starts with a store on a small disk' gateway_start
must 'a model' gateway_model acme-edge9 edge
enrolled edge
id=$(cat "$work/edge/id")
same 'there is room: the device may pass' 'allow trusted' "$(decision edge)"

dd if=/dev/zero of="$small/filler" bs=4k 2>/dev/null
tries=0
while device_attests edge; [ "$status" = 201 ] && [ $tries -lt 40 ]; do
    tries=$((tries + 1))
done
answered 'the disk is full: evidence gets a 503' 503 storage_unavailable
claim 'which says when to try again' grep -qi '^retry-after: [0-9]' "$headers"
same 'the verdict is as it was' 'allow trusted' "$(decision edge)"
call device edge GET /v1/self
same 'for the device as well' trusted "$(field .verdict)"
jq -n '{reason: "suspicious"}' >"$work/body"
call admin admin POST "/v1/devices/$id/quarantine" "$work/body"
answered 'an operator is told the same' 503 storage_unavailable
call public - GET /healthz
answered 'the gateway lives' 200
call admin admin GET "/v1/devices/$id"
answered 'and reads' 200

rm "$small/filler"
device_attests edge
answered 'there is room again: evidence is taken' 201
same 'and the device may pass' allow "$(decision edge | cut -d ' ' -f 1)"
gateway_stop KILL
must 'the store opens again' gateway_start
same 'and holds the lease' 'allow trusted' "$(decision edge)"
finish
