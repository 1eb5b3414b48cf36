#!/bin/sh
# deps.sh: brings in everything that building, testing, linting and the demo need, and nothing else.
#
#   deploy/deps.sh             all of it
#   DEPS=build deploy/deps.sh  only what compiling takes (DEPS=run: only what the finished binary takes)
#   DEPS=vm deploy/deps.sh     also what `make test-vm` takes: firmware, an emulator, a signed boot chain
#   CHECK=1                    only say which packages are missing, and end with 1 when there are any
#   WOLFSSL=system             use the distribution's libwolfssl (5.7 or newer) instead of our own build
#
# Works as root on Debian 12 and 13. Without root it says what is missing. Run again, it finds that there
# is nothing to do in well under a second and needs no network.
set -eu

cd "$(dirname "$0")/.."
want=${DEPS:-all}
wolfssl=${WOLFSSL:-own}
deps=${DEPS_DIR:-.deps}

say() { printf 'deps: %s\n' "$*"; }
die() { printf 'deps: %s\n' "$*" >&2; exit 1; }

# One package a line; a|b where Debian 12 and 13 call it differently.
packages_build='
gcc
libc6-dev
make
pkg-config
binutils
libmicrohttpd-dev
libgnutls28-dev
libsqlite3-dev
libjansson-dev
libtss2-dev
liburcu-dev
libinih-dev
libtasn1-6-dev
libseccomp-dev
libcurl4-openssl-dev
libp11-kit-dev'

packages_wolfssl='
dpkg-dev
autoconf
automake
libtool
ca-certificates
debian-archive-keyring'

packages_system_wolfssl='
libwolfssl-dev'

packages_test='
check
clang-19
libclang-rt-19-dev
llvm-19
swtpm
swtpm-tools
tpm2-tools
libtss2-tcti-swtpm0t64|libtss2-tcti-swtpm0
tpm2-openssl
busybox
mandoc
dbus-daemon
libtss2-rc0t64|libtss2-rc0
sqlite3
curl
jq
openssl
xxd
procps
debootstrap
iproute2
python3-yaml
python3-jsonschema
strongswan-pki
libstrongswan-standard-plugins
libstrongswan-extra-plugins
softhsm2'

# A machine with real firmware, and what goes into its initramfs. amd64 only.
packages_vm='
qemu-system-x86
ovmf
libtss2-tcti-device0t64|libtss2-tcti-device0
mtools
dosfstools
fdisk
cpio
zstd
kmod
xz-utils'

packages_lint='
clang-format-19
clang-tidy-19
cppcheck
shellcheck'

packages_run='
libgnutls30t64|libgnutls30
libsqlite3-0
libjansson4
libtss2-mu-4.0.1-0t64|libtss2-mu0
liburcu8t64|liburcu8
libinih1
libtasn1-6
libseccomp2
libcurl4t64|libcurl4
ca-certificates'

case $wolfssl in
own) packages_build="$packages_build$packages_wolfssl" ;;
system) packages_build="$packages_build$packages_system_wolfssl" ;;
*) die "WOLFSSL is '$wolfssl'; it can be own or system" ;;
esac
case $want in
all) packages="$packages_build$packages_test$packages_lint" ;;
build) packages=$packages_build ;;
test) packages="$packages_build$packages_test" ;;
lint) packages="$packages_build$packages_lint" ;;
vm) packages="$packages_build$packages_test$packages_vm" ;;
run) packages=$packages_run ;;
*) die "DEPS is '$want'; it can be all, build, test, lint, vm or run" ;;
esac

# Those lines of $packages of which no alternative is installed.
missing_packages() {
    # dpkg-query complains about names it has never heard of: the other distribution's.
    # shellcheck disable=SC2046 # one word a name is what we want
    dpkg-query -W -f '${db:Status-Status} ${Package}\n' $(echo "$packages" | tr '|' ' ') 2>/dev/null |
        awk -v wanted="$packages" '
            $1 == "installed" { have[$2] = 1 }
            END {
                lines = split(wanted, line, "\n")
                for (i = 1; i <= lines; i++) {
                    names = split(line[i], name, "|"); found = (names == 0)
                    for (j = 1; j <= names; j++) if (name[j] in have) found = 1
                    if (!found) print line[i]
                }
            }'
}

# The first alternative that this distribution can install.
pick() {
    for name in $(echo "$1" | tr '|' ' '); do
        if apt-cache policy "$name" | grep -q '^  Candidate: [^(]'; then
            echo "$name"
            return
        fi
    done
    die "no package for '$1' in this system's apt sources (Debian 12 or 13 expected)"
}

install_packages() {
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        names=''
        for line in $missing; do
            names="$names $(pick "$line" 2>/dev/null || echo "$line")"
        done
        die "these packages are missing; as root: apt-get install$names"
    fi
    export DEBIAN_FRONTEND=noninteractive
    say 'reading package lists'
    apt-get -o DPkg::Lock::Timeout=600 -q update
    if [ "$wolfssl" = system ]; then
        version=$(apt-cache policy libwolfssl-dev | awk '$1 == "Candidate:" { print $2 }')
        dpkg --compare-versions "${version:-0}" ge 5.7 || too_old "${version:-none}"
    fi
    names=''
    for line in $missing; do
        name=$(pick "$line")
        names="$names $name"
    done
    say "installing$names"
    # shellcheck disable=SC2086 # words
    apt-get -o DPkg::Lock::Timeout=600 -q -y --no-install-recommends install $names
}

too_old() {
    die "WOLFSSL=system needs wolfSSL 5.7 or newer, and this system has $1." \
        "Leave WOLFSSL out, and Debian trixie's source package is built instead."
}

# The distribution's library has to be recent, and to have been built with what we call.
check_system_wolfssl() {
    version=$(pkg-config --modversion wolfssl)
    pkg-config --atleast-version=5.7 wolfssl || too_old "$version"
    # shellcheck disable=SC2046 # words
    echo '#include <wolfssl/options.h>
          #include <wolfssl/wolfcrypt/settings.h>' |
        cc -E -dM $(pkg-config --cflags wolfssl) - >"$deps/system-wolfssl.macros"
    # GETRANDOM: the signer, which may open no file, has to be able to seed its generator anew.
    for macro in WOLFSSL_TLS13 WOLFSSL_GETRANDOM WOLFSSL_AES_CFB WOLFSSL_KEY_GEN WC_RSA_PSS HAVE_ECC384 HAVE_ED25519; do
        grep -q "^#define $macro\\b" "$deps/system-wolfssl.macros" ||
            die "this system's wolfSSL $version was built without $macro, which Gatehouse needs." \
                "Leave WOLFSSL out, and Debian trixie's source package is built instead."
    done
}

# A resource manager for simulated TPMs, as the kernel is one for a real one. Unpacked and not installed: the
# package would start it on this machine's own TPM.
unpack_resource_manager() {
    [ ! -x "$deps/abrmd/usr/sbin/tpm2-abrmd" ] || return 0
    say 'unpacking tpm2-abrmd'
    rm -rf "$deps/abrmd.new"
    mkdir "$deps/abrmd.new"
    library=$(pick 'libtss2-tcti-tabrmd0t64|libtss2-tcti-tabrmd0')
    (
        cd "$deps/abrmd.new"
        fetch='apt-get -q -o APT::Sandbox::User=root download'
        $fetch tpm2-abrmd "$library" || { apt-get -q update && $fetch tpm2-abrmd "$library"; } || exit 1
        for package in *.deb; do
            dpkg-deb -x "$package" . || exit 1
        done
        rm -f -- *.deb
    ) || die 'tpm2-abrmd cannot be fetched'
    rm -rf "$deps/abrmd"
    mv "$deps/abrmd.new" "$deps/abrmd"
}

# Proxies for the end-to-end tests, unpacked for the same reason. Their libraries are installed.
unpack_proxies() {
    [ ! -e "$deps/proxies/complete" ] || return 0
    say 'unpacking nginx, haproxy and caddy'
    rm -rf "$deps/proxies"
    mkdir "$deps/proxies"
    for name in nginx haproxy caddy; do
        if ! apt-cache policy $name | grep -q '^  Candidate: [^(]'; then
            say "there is no package $name here: tests with it will be skipped"
            continue
        fi
        (
            cd "$deps/proxies"
            fetch='apt-get -q -o APT::Sandbox::User=root download'
            $fetch $name || { apt-get -q update && $fetch $name; } || exit 1
            dpkg-deb -f ${name}_*.deb Depends | tr ',' '\n' | sed -n 's/^ *\(lib[^ :|(]*\).*/\1/p' >>libraries
            dpkg-deb -x ${name}_*.deb .
        ) || die "$name cannot be fetched"
    done
    (packages=$(sort -u "$deps/proxies/libraries") && install_packages) || exit 1
    rm -f "$deps"/proxies/*.deb
    touch "$deps/proxies/complete"
}

if [ "${CHECK:-0}" = 1 ]; then
    missing=$(missing_packages)
    [ -z "$missing" ] || die "missing for DEPS=$want: $(echo "$missing" | paste -s -d ' ')"
    exit 0
fi
install_packages
[ "$want" != run ] || exit 0
mkdir -p "$deps"
case $want in all | test) unpack_resource_manager && unpack_proxies ;; esac

case $wolfssl in
own) DEPS_DIR=$deps sh deploy/wolfssl.sh ;;
system) check_system_wolfssl ;;
esac
[ "$want" != vm ] || DEPS_DIR=$deps sh tests/vm/fetch.sh
if [ "$(cat "$deps/ready" 2>/dev/null || :)" != "$want $wolfssl" ]; then
    echo "$want $wolfssl" >"$deps/ready"
fi
