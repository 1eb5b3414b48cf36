# shellcheck shell=sh disable=SC2154 # variables are shared with the other parts
# state.sh: the state directory. One instance works in it at a time; what is half done is in work.*, which the
# next one removes; what is done is a directory per generation with a symbolic link to the one in force:
#
#   identity   -> identity.XXXXXX      certificate.pem key.pem anchors.pem result.json
#   credential -> credential.XXXXXX    certificate.pem key.pem combined.pem result.json
#   enrolment/                         an enrolment that is under way
#   refused.json                       the last verdict, when it was untrusted
#   attest-due                         the device has enrolled again, which makes its credential void
#   hook-due                           a new credential is in place, and the hook has not ended well yet
#
# A link is switched by rename, so a key is never seen with another's certificate in one directory.

state_open() {
    state=$conf_state_dir
    work=''
    [ -d "$state" ] || mkdir -p "$state" 2>/dev/null || die $exit_local "$state cannot be made: $(mkdir -p "$state" 2>&1 || :)"
    # Somebody's mistake is not mended by taking a directory away from others.
    [ -z "$(find "$state/" -prune \( ! -user "$(id -u)" -o -perm -040 -o -perm -020 -o -perm -010 -o -perm -004 \
        -o -perm -002 -o -perm -001 \))" ] || die $exit_local "$state is not this user's alone: it has to have mode 0700"
    # Before the lock: what would not be writable is not to be waited for.
    (: >>"$state/lock") 2>/dev/null || die $exit_local "$state cannot be written to"
    trap state_close EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    state_lock
    for stale in "$state"/work.*; do
        [ -d "$stale" ] || continue
        tpm_forget "$stale"
        rm -rf "$stale"
    done
    work=$(mktemp -d "$state/work.XXXXXX") || die $exit_local "$state cannot be written to"
    mkdir "$work/none"
}

state_close() {
    state_code=$?
    trap - EXIT HUP INT TERM
    if [ -n "$work" ]; then
        tpm_forget "$work"
        rm -rf "$work"
    fi
    [ -z "${lock_made-}" ] || rm -rf "$state/lock.d"
    exit "$state_code"
}

# By flock where it is there: the kernel lets go when the process dies. Else by a directory with the pid.
state_lock() {
    if command -v flock >/dev/null 2>&1; then
        exec 9>>"$state/lock"
        flock -n 9 || die $exit_busy 'another gatehouse-device is at work here'
        return 0
    fi
    if ! mkdir "$state/lock.d" 2>/dev/null; then
        holder=$(cat "$state/lock.d/pid" 2>/dev/null) || holder=''
        case $holder in
        '' | *[!0-9]*) ;;
        *) ! kill -0 "$holder" 2>/dev/null || die $exit_busy "another gatehouse-device is at work here (pid $holder)" ;;
        esac
        # Whoever moves the dead one's lock away has it; two cannot.
        mv -T "$state/lock.d" "$state/lock.dead.$$" 2>/dev/null || die $exit_busy 'another gatehouse-device is at work here'
        rm -rf "$state/lock.dead.$$"
        mkdir "$state/lock.d" 2>/dev/null || die $exit_busy 'another gatehouse-device is at work here'
    fi
    lock_made=yes
    echo $$ >"$state/lock.d/pid"
}

# durable PATH...: on the disk, where that can be asked for one file.
durable() { sync "$@" 2>/dev/null || sync; }

# keep FILE TARGET: a file of the state, whole or not at all.
keep() {
    cp "$1" "$2.new" && durable "$2.new" && mv -f "$2.new" "$2" && durable "$(dirname "$2")" ||
        die $exit_local "$2 cannot be written"
}

# put_in_force NAME DIRECTORY: the directory becomes the generation that the link NAME points to. The one before
# stays until the next; what is older goes.
put_in_force() {
    before=$(readlink "$state/$1" 2>/dev/null) || before=''
    generation=$1.$(basename "$(mktemp -u "$state/XXXXXXXX")")
    if ! { durable "$2"/* "$2" && mv -T "$2" "$state/$generation" && ln -sfn "$generation" "$state/$1.new" &&
        mv -T "$state/$1.new" "$state/$1" && durable "$state"; }; then
        die $exit_local "$state/$1 cannot be put in place"
    fi
    for old in "$state/$1".*; do
        case ${old#"$state/"} in "$generation" | "$before") ;; *) rm -rf "$old" ;; esac
    done
}

# json_file FILE FILTER: a value of a small file of ours; nothing when there is none.
json_file() { jq -r "$2 // empty" "$1" 2>/dev/null || :; }
