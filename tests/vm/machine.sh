# shellcheck shell=sh disable=SC2154 # sourced: $work, $root and the functions of deploy/demo/device.sh are there
# machine.sh: a machine with real firmware, to be sourced after tests/e2e/lib.sh. Its TPM is the one that
# device_new made; the rest of it is in $work/MACHINE: vars (the firmware's variables), state (its second
# disk), serial.N (what it said in its Nth boot) and result (what the last boot left; see init).
# Functions return non-zero when a step failed.

firmware=/usr/share/OVMF/OVMF_CODE_4M.secboot.fd
enrolled_keys=/usr/share/OVMF/OVMF_VARS_4M.ms.fd
boot_seconds=${VM_BOOT_SECONDS:-240} # at most, for one boot
relay=${gatehouse%/gatehouse}/tests/vm/relay

# machine_new MACHINE: Microsoft's keys are enrolled, Secure Boot is on; the disk for its state is empty.
machine_new() {
    boots=0
    mkdir -p "$work/$1/disk" && mkdir -m 700 "$work/$1/disk/state" || return 1
    cp "$enrolled_keys" "$work/$1/vars"
    chmod 600 "$work/$1/vars"
}

# machine_pack MACHINE COMMANDS: puts the disk together from $work/MACHINE/disk/state, with what to do. Ports of
# the gateway that the machine reaches are those of $work/ports.
machine_pack() {
    ports=$(cut -d ' ' -f 2 "$work/ports" | paste -s -d ' ')
    printf "ports='%s'\nseconds=%s\ncommands='%s'\n" "$ports" "$boot_seconds" "$2" >"$work/$1/disk/settings"
    rm -rf "$work/$1/disk/result"
    tar -C "$work/$1/disk" -cf "$work/$1/state" . && truncate -s 8M "$work/$1/state"
}

# The TPM serves one machine's run; TPM and relay end when the machine does.
machine_attach() {
    rm -f "$work/$1/s.tpm" "$work/$1/s.channel"
    # Short relative names: paths of sockets have a small limit.
    (cd "$work/$1" && exec swtpm socket --tpm2 --tpmstate dir=tpm --ctrl type=unixio,path=s.tpm --terminate >swtpm.out 2>&1) &
    tpm_pid=$!
    # shellcheck disable=SC2086 # words
    (cd "$work/$1" && exec "$relay" host s.channel "$boot_seconds" $ports >relay.out 2>&1) &
    relay_pid=$!
    started="$started $tpm_pid $relay_pid"
    wait_for 5 test -S "$work/$1/s.tpm" && wait_for 5 test -S "$work/$1/s.channel"
}

# The firmware's variables can only be written by the firmware (SMM), as Secure Boot asks. No network.
machine_run() {
    (
        cd "$work/$1" || exit 1
        exec timeout -k 5 "$boot_seconds" qemu-system-x86_64 -name "$1" -nodefaults -no-user-config -no-reboot \
            -display none -vga none -nic none -machine q35,smm=on,accel="${VM_ACCEL:-tcg}" -cpu max -smp 1 -m 512 \
            -uuid 6a7e4005-0000-4000-8000-000000000003 \
            -smbios type=1,manufacturer=Acme,product=Edge9,version=1.0,serial=E9-0001 \
            -global driver=cfi.pflash01,property=secure,value=on -global ICH9-LPC.disable_s3=1 \
            -drive if=pflash,unit=0,format=raw,readonly=on,file="$firmware" \
            -drive if=pflash,unit=1,format=raw,file=vars \
            -chardev socket,id=tpm,path=s.tpm -tpmdev emulator,id=tpm0,chardev=tpm -device tpm-crb,tpmdev=tpm0 \
            -drive if=none,id=boot,format=raw,snapshot=on,file="$2" \
            -device virtio-blk-pci,drive=boot,serial=boot,bootindex=0 \
            -drive if=none,id=state,format=raw,file=state -device virtio-blk-pci,drive=state,serial=state \
            -device virtio-serial-pci -chardev socket,id=channel,path=s.channel \
            -device virtserialport,chardev=channel,name=gatehouse \
            -serial "file:serial.$boots" >qemu.out 2>&1 </dev/null
    ) &
    machine_pid=$!
    started="$started $machine_pid"
    wait $machine_pid
}

# machine_boot MACHINE DISK COMMANDS: one boot, from power-on to power-off. $took is its time in seconds.
machine_boot() {
    boots=$((boots + 1))
    machine_pack "$1" "$3" && machine_attach "$1" || return 1
    began=$(date +%s%N)
    machine_run "$1" "$2"
    ended_with=$?
    took=$((($(date +%s%N) - began) / 100000000))
    took=$((took / 10)).$((took % 10))
    for pid in $machine_pid $tpm_pid $relay_pid; do
        stop_process "$pid"
    done
    [ $ended_with -eq 0 ] && machine_unpack "$1" && [ -s "$work/$1/disk/result/log" ] && return
    echo "boot $boots of $1 ended with $ended_with after $took s; its console ends with:"
    tail -n 40 "$work/$1/serial.$boots"
    cat "$work/$1/qemu.out" "$work/$1/relay.out"
    return 1
}

machine_unpack() {
    rm -rf "$work/$1/disk"
    mkdir "$work/$1/disk" && tar -C "$work/$1/disk" --warning=no-timestamp -xf "$work/$1/state"
}
