#!/bin/sh
# test: a baseline learned from devices is approved, trusts them, and tells what changed in words
cd "$(dirname "$0")" && . ./lib.sh

a_gateway edge other
enrolled edge other
must 'another operator writes' gateway_operator writer author
id=$(cat "$work/edge/id")
first=$baseline

proposal() { # DEVICE-ID...: by the author
    jq -n '{devices: $ARGS.positional, label: "learned"}' --args "$@" >"$work/body"
    call admin writer POST /v1/models/acme-edge9/proposals "$work/body"
}

in_force() { # BASELINE: the author submits it, another one approves and activates it
    for step in writer/submit second/approve second/activate; do
        call admin "${step%/*}" POST "/v1/baselines/$1/${step#*/}" "$work/empty"
    done
}

# --- learning ----------------------------------------------------------------------------------------

proposal "$id" ffffffffffffffffffffffffffffffff
answered 'a device that nobody knows teaches nothing' 400 invalid_field
proposal "$id" "$(cat "$work/other/id")"
answered 'two devices that booted alike give a proposal' 201
learned=$(field .baseline.id)
field .baseline.document >"$work/learned.json"
same 'it is a draft by who asked for it' 'draft writer' "$(field '.baseline | "\(.state) \(.created_by)"')"
same 'its boot chain has names' 'shim grub kernel' "$(field '[.baseline.document.boot_chain[].name] | join(" ")')"
same 'and versions' '6.1.0-28-amd64' "$(field '.baseline.document.boot_chain[2].any_of[0].label')"
same 'what the kernel is told is demanded word by word' 'root=UUID=5a1e0b52-6e0f-4a7e-9f3c-1d2b3c4d5e6f ro quiet' \
    "$(field '.baseline.document.kernel_command_line.any_of[0]')"
same 'boot order is a question, and left out' left_out "$(field '[.questions[] | select(.subject == "boot_order")][0].choice')"
claim 'gatehouse baseline check takes it' "$gatehouse" baseline check "$work/learned.json"

# --- putting it in force -----------------------------------------------------------------------------

in_force "$learned"
answered 'it is put in force by another' 200
call admin second POST "/v1/baselines/$first/retire" "$work/empty"
answered 'the one of whole PCRs goes' 200
device_attests edge
answered 'what it was learned from is trusted' 201
same 'and may pass' 'allow trusted' "$(decision edge)"
call admin admin GET "/v1/devices/$id/drift"
same 'it has no drift' 0 "$(field '.changes | length')"

# --- an altered boot ---------------------------------------------------------------------------------

device_power_off other
device_power_off edge
export COMMAND_LINE='/vmlinuz-6.1.0-28-amd64 root=UUID=5a1e0b52-6e0f-4a7e-9f3c-1d2b3c4d5e6f ro quiet init=/bin/sh'
must 'the device boots otherwise' device_boot edge
unset COMMAND_LINE
device_attests edge
answered 'another command line is denied' 403 untrusted
same 'by its name' command_line_not_allowed "$(field '.findings[0]')"
same 'and the proxy knows' 'deny' "$(decision edge | cut -d ' ' -f 1)"
call admin admin GET "/v1/devices/$id/drift"
answered 'its drift is told' 200
same 'in words' 'kernel command line: init=/bin/sh was added' \
    "$(field '[.changes[] | select(.subject == "kernel_command_line")][0].text')"
same 'from the baseline that trusted it' 'trusted learned' "$(field '.before | "\(.verdict) \(.baseline_label)"')"
call admin admin GET /v1/models/acme-edge9/drift
same 'and counted for its model' '1 1' \
    "$(field '[.items[] | select(.change.subject == "kernel_command_line")][0] | "\(.devices) \(.untrusted)"')"

device_power_off edge
KERNEL=vmlinuz-6.1.0-29-amd64
COMMAND_LINE='/vmlinuz-6.1.0-29-amd64 root=UUID=5a1e0b52-6e0f-4a7e-9f3c-1d2b3c4d5e6f ro quiet'
export KERNEL COMMAND_LINE
must 'it boots another kernel' device_boot edge
unset KERNEL COMMAND_LINE
device_attests edge
answered 'another kernel is denied' 403 untrusted
call admin admin GET "/v1/devices/$id/drift"
claim 'which kernel became which is told' \
    jq -e '[.changes[] | select(.subject == "kernel") | .text | test("^kernel: 6.1.0-28-amd64 .* became 6.1.0-29-amd64 ")] == [true]' "$answer"

# --- an update is learned ----------------------------------------------------------------------------

proposal "$id"
answered 'the new boot gives a proposal' 201
updated=$(field .baseline.id)
in_force "$updated"
device_attests edge
answered 'once approved it is trusted' 201
finish
