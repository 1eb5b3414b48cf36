#!/bin/sh
# test: the device client survives a power cut at any step, and its readers never see half of anything
cd "$(dirname "$0")" && . ./lib.sh

must 'a vendor is there' vendor_new acme
must 'a device is made' device_new edge acme
must 'it boots' device_boot edge
must 'gatehouse init' gateway_init acme
export GATEHOUSE_ENROLMENT_PENDING_PER_IP=10000 GATEHOUSE_ENROLMENT_PER_IP_PER_MINUTE=100000
must 'gatehouse serve' gateway_start
must 'a model and its baseline' gateway_model acme-edge9 edge
state=$work/edge/state
device_configures edge acme-edge9 'tries = 2' 'backoff = 0' 'credential_key = file' 'identity_key = file'

is_pair() { # DIRECTORY
    [ -n "$(cat "$1/key.pem")" ] &&
        [ "$(openssl x509 -in "$1/certificate.pem" -noout -pubkey)" = "$(openssl pkey -in "$1/key.pem" -pubout)" ]
}

# What changes something, outside of the process, kills it and itself before it does so for the $at-th time.
mkdir "$work/bin"
for tool in tpm2 curl mv ln rm mkdir cp sync; do
    cat >"$work/bin/$tool" <<END
#!/bin/sh
echo "$tool \$*" >>"$work/steps"
[ "\$(wc -l <"$work/steps")" -ne "\$(cat "$work/at")" ] || kill -9 0
exec $(command -v $tool) "\$@"
END
    chmod +x "$work/bin/$tool"
done

# cut STEP COMMAND: the client in a process group of its own, killed at that step; its exit code.
cut_at() {
    echo "$1" >"$work/at"
    : >"$work/steps"
    PATH=$work/bin:$PATH setsid -w "$demo/../device/gatehouse-device" --config "$work/edge/client.conf" "$2" >"$work/said" 2>&1 </dev/null
}
forget() { rm -rf "$state" && rm -f "$work/edge/state.ak"; }

# The number of steps is counted, then every so many of them is cut, to stay within the time.
# every_cut COMMAND BEFORE AFTER: BEFORE makes ready; after each cut the same command ends with 0 and AFTER holds.
every_cut() {
    $2
    cut_at 0 "$1" || not_ok "$1 without a cut" "$(cat "$work/said")"
    steps=$(wc -l <"$work/steps")
    stride=$((steps / 15 + 1))
    at=$((1 + $(date +%s) % stride))
    cuts=0 wrong=''
    while [ $at -le "$steps" ]; do
        $2
        if cut_at $at "$1"; then
            break
        fi
        where=$(tail -n 1 "$work/steps" | cut -c 1-60)
        ! $3 half && wrong="$wrong; half done after $at ($where)"
        device_client edge "$1" >"$work/said" 2>&1 </dev/null || wrong="$wrong; $at ($where): $(tail -n 1 "$work/said")"
        $3 whole || wrong="$wrong; not whole after $at ($where)"
        cuts=$((cuts + 1))
        at=$((at + stride))
    done
    same "$1 goes on after a cut at any of $steps steps" '' "$wrong"
    claim "it was cut often enough ($cuts times)" test $cuts -ge 10
}

# --- enrolment -----------------------------------------------------------------------------------------

enrolled_well() { # half | whole
    if [ "$1" = half ]; then
        [ ! -e "$state/identity" ] || is_pair "$state/identity"
        return
    fi
    is_pair "$state/identity" && [ -z "$(find "$state" -name 'work.*' -o -name '*.new' -o -name enrolment)" ]
}
every_cut enrol forget enrolled_well
same 'nothing is left in the TPM' '' "$(tpm edge getcap handles-transient; tpm edge getcap handles-loaded-session; tpm edge getcap handles-saved-session)"

# The very enrolment goes on: no second one is asked for.
forget
echo 'x' >"$work/never"
step=1
until [ -f "$state/enrolment/secret" ] || [ $step -gt 150 ]; do
    forget
    cut_at $step enrol && break
    step=$((step + 1))
done
claim 'it was cut with the secret in hand' test -f "$state/enrolment/secret"
openssl base64 -A -in "$state/enrolment/secret" >"$work/secret"
od -An -v -tx1 "$state/enrolment/secret" | tr -d ' \n' >>"$work/secret"
same 'which is its own alone' 600 "$(stat -c %a "$state/enrolment/secret")"
asked=$(grep -c '"route":"/v1/enrollments",' "$log")
cut_at 0 enrol
same 'it ends well' 0 $?
same 'and is the same enrolment' "$asked" "$(grep -c '"route":"/v1/enrollments",' "$log")"
claim 'the secret was in no argument' sh -c '! grep -F -f "$1" "$2"' sh "$work/secret" "$work/steps"

# An answer that is lost: the gateway has enrolled the device, the device does not know.
forget
echo 0 >"$work/at"
: >"$work/steps"
cat >"$work/bin/curl" <<END
#!/bin/sh
$(command -v curl) "\$@" || exit
case "\$*" in */activate*) kill -9 0 ;; esac
END
PATH=$work/bin:$PATH setsid -w "$demo/../device/gatehouse-device" --config "$work/edge/client.conf" enrol >"$work/said" 2>&1
claim 'the power goes when the gateway has answered' test ! -e "$state/identity"
asked=$(grep -c '"route":"/v1/enrollments",' "$log")
claim 'it enrols all the same' device_client edge enrol
same 'with the same enrolment' "$asked" "$(grep -c '"route":"/v1/enrollments",' "$log")"

# A gateway that has forgotten: a new one begins.
forget
device_client edge enrol >/dev/null 2>&1
forget
cat >"$work/bin/curl" <<END
#!/bin/sh
case "\$*" in */activate*) kill -9 0 ;; esac
exec $(command -v curl) "\$@"
END
PATH=$work/bin:$PATH setsid -w "$demo/../device/gatehouse-device" --config "$work/edge/client.conf" enrol >"$work/said" 2>&1
jq '.enrollment_id = "00000000000000000000000000000000"' "$state/enrolment/answer.json" >"$work/other"
cp "$work/other" "$state/enrolment/answer.json"
claim 'an enrolment that the gateway does not know begins anew' device_client edge enrol
claim 'and ends well' enrolled_well whole

# Damage.
forget
mkdir -m 700 "$state" "$state/enrolment"
echo rubbish >"$state/enrolment/answer.json"
claim 'rubbish in place of an enrolment is thrown away' device_client edge enrol

# --- attestation ---------------------------------------------------------------------------------------

cat >"$work/bin/curl" <<END
#!/bin/sh
echo "curl \$*" >>"$work/steps"
[ "\$(wc -l <"$work/steps")" -ne "\$(cat "$work/at")" ] || kill -9 0
exec $(command -v curl) "\$@"
END
printf '#!/bin/sh\necho ran >>%s\n' "$work/hook.log" >"$work/hook"
chmod +x "$work/hook"
echo "hook = $work/hook" >>"$work/edge/client.conf"
attested_well() { # half | whole: from the first credential on there is always one
    is_pair "$state/credential" && [ "$(cat "$state/credential/key.pem" "$state/credential/certificate.pem")" = "$(cat "$state/credential/combined.pem")" ] || return 1
    [ "$1" = half ] || [ -z "$(find "$state" -name 'work.*' -o -name '*.new' -o -name hook-due)" ]
}
claim 'a first credential' device_client edge attest
every_cut attest : attested_well
same 'no more than two generations are kept' 2 "$(find "$state" -name 'credential.*' | wc -l)"

# A cut between the switch and the hook: the hook is still run, once.
step=1
: >"$work/hook.log"
while [ $step -le 150 ]; do
    rm -f "$work/hook.log"
    before=$(readlink "$state/credential")
    ! cut_at $step attest || break
    if [ "$before" != "$(readlink "$state/credential")" ] && [ ! -s "$work/hook.log" ]; then
        break
    fi
    device_client edge renew >/dev/null 2>&1
    step=$((step + 1))
done
claim 'it was cut between credential and hook' test ! -s "$work/hook.log" -a -f "$state/hook-due"
claim 'renew runs the hook' device_client edge renew
same 'once' ran "$(cat "$work/hook.log")"

# --- readers -------------------------------------------------------------------------------------------

# Until told to stop, a reader resolves the link and compares; the one-file reader opens once.
reader() {
    until [ -e "$work/enough" ]; do
        directory=$(readlink -f "$state/credential")
        cp "$directory/key.pem" "$work/seen.key" && cp "$directory/certificate.pem" "$work/seen.pem" || { echo missing; continue; }
        cat "$state/credential/combined.pem" >"$work/seen.combined" || echo gone
        [ "$(openssl x509 -in "$work/seen.pem" -noout -pubkey)" = "$(openssl pkey -in "$work/seen.key" -pubout)" ] || echo mismatch
        [ "$(openssl x509 -in "$work/seen.combined" -noout -pubkey)" = "$(openssl pkey -in "$work/seen.combined" -pubout)" ] || echo mismatch
        echo read >>"$work/reads"
    done >"$work/reader" 2>&1
}
reader &
reading=$!
started="$started $reading"
for _ in 1 2 3 4 5; do
    device_client edge attest >/dev/null 2>&1 || not_ok 'it attests beside a reader'
done
: >"$work/enough"
wait $reading
claim "a reader has read $(wc -l <"$work/reads") times" test "$(wc -l <"$work/reads")" -gt 20
same 'and never seen another key than the certificate'"'s" '' "$(cat "$work/reader")"
finish
