# A baseline by component, from what `gatehouse inspect` tells of a boot that is known to be good; $model is its
# model, $pcrs[0] the TPM's own values for what has no components.
.facts as $f | ($f.images | map(select(.kind == "boot") | .digests.sha256)) as $boot
| {schema: "gatehouse/baseline/1", model: $model, label: "fw 1.42, linux 6.1.0-28", bank: "sha256",
   firmware: {any_of: [{version: $f.firmware.version, pcr0: $pcrs[0]["0"][0]}]},
   secure_boot: {required: true, platform_key: [$f.secure_boot.platform_key.entries[].sha256],
                 key_exchange_keys: [$f.secure_boot.key_exchange_keys.entries[].sha256],
                 db: [$f.secure_boot.db.entries[].sha256]},
   boot_chain: [{name: "shim", any_of: [{label: "15.8", sha256: $boot[0]}]},
                {name: "grub", any_of: [{label: "2.06", sha256: $boot[1]}]},
                {name: "kernel", any_of: [{label: "6.1.0-28", sha256: $boot[2]}]}],
   kernel_command_line: {any_of: [$f.os.command_lines[0].text]},
   initrd: {any_of: [$f.os.files[] | select(.initrd) | .digests.sha256]},
   pcrs: ($pcrs[0] | {"2", "3", "6", "14"}),
   unlisted_pcrs: "report"}
