#!/bin/sh
# wolfssl.sh: builds wolfSSL from the source package of Debian trixie (with its security updates), statically,
# with our own configuration, into $DEPS_DIR/wolfssl/{include,lib}.
#
# The package is fetched by apt: the mirror is the system's own, the signature is checked against Debian's
# archive keyring, and nothing of this touches the system's apt configuration or its package lists.
# A build is kept under a name that hashes this file, so that it is made once. REFRESH=1 asks the mirror
# whether trixie has a newer revision meanwhile.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
deps=$(cd "${DEPS_DIR:-.deps}" && pwd -P)
recipe=$(sha256sum <"$0" | cut -c1-12)
built=$deps/wolfssl-$recipe

say() { printf 'wolfssl: %s\n' "$*"; }
die() { printf 'wolfssl: %s\n' "$*" >&2; exit 1; }

# What is built, besides the defaults (TLS 1.2 and 1.3, AES-GCM, ECC, RSA with PSS and OAEP, SHA-1/2/3).
#   speed:   single-precision code for the key sizes in use, assembly picked by the CPU at run time
#   needed:  Ed25519, X25519, HKDF, AES-CFB (credential activation), making and reading certificates and
#            requests, exported keying material, hash-based signatures (verification only)
#   seeds:   from getrandom, which needs no file and so works in a confined process, too
#   left out: everything older than TLS 1.2, MD5, finite-field DH, CBC, PKCS#12, resumption (no tickets, no
#            session cache): each connection proves itself
features='
--enable-static --disable-shared --enable-reproducible-build
--disable-examples --disable-crypttests --disable-benchmark
--enable-sp=yes,4096,384,521 --enable-sp-asm --with-max-rsa-bits=4096
--enable-tls13 --enable-tlsv12 --disable-oldtls --disable-tlsv10 --disable-sslv3
--disable-md5 --disable-des3 --disable-arc4 --disable-psk --disable-nullcipher --disable-dh --disable-aescbc
--disable-pkcs12 --disable-session-ticket --disable-secure-renegotiation --disable-sys-ca-certs
--enable-harden --enable-sni --enable-alpn --enable-supportedcurves --enable-extended-master
--enable-aesgcm --enable-aescfb --enable-chacha --enable-poly1305
--enable-ecc --enable-ed25519 --enable-curve25519 --enable-hkdf --enable-lms=verify-only
--enable-keygen --enable-certgen --enable-certreq --enable-certext
--enable-keying-material --enable-base64encode --enable-ip-alt-name --enable-context-extra-user-data'

macros='
-DWOLFSSL_ALT_NAMES -DWOLFSSL_CUSTOM_OID -DHAVE_OID_ENCODING -DHAVE_OID_DECODING -DWOLFSSL_EKU_OID
-DWOLFSSL_PUBLIC_ASN -DWOLFSSL_PUBLIC_MP -DKEEP_PEER_CERT -DNO_SESSION_CACHE -DWOLFSSL_ALWAYS_VERIFY_CB
-DNO_WOLFSSL_STUB -DWOLFSSL_GETRANDOM'

harden='-fstack-protector-strong -fstack-clash-protection -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2'

# Assembly for every x86-64 CPU: which of it runs is decided by CPUID. On arm64 this release would require
# the cryptographic extensions of every CPU, so there only the portable part (sp-asm) is used.
case $(uname -m) in
x86_64)
    features="$features --enable-intelasm"
    harden="$harden -fcf-protection"
    ;;
aarch64) harden="$harden -mbranch-protection=standard" ;;
*) features=$(echo "$features" | sed 's/--enable-sp-asm//') ;;
esac

point() {
    [ "$(readlink "$deps/wolfssl" 2>/dev/null || :)" = "wolfssl-$recipe" ] && return 0
    ln -sfn "wolfssl-$recipe" "$deps/wolfssl.new"
    mv -T "$deps/wolfssl.new" "$deps/wolfssl"
}

# Sets apt up to see the sources of trixie and nothing else, in a folder of our own.
configure_apt() {
    apt=$deps/apt
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -r "$keyring" ] || die 'the package debian-archive-keyring is missing'
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
    sh "$here/mirror.sh" | awk -v keyring="$keyring" '
        !seen[$0]++ {
            suite = $1 == "archive" ? "trixie" : "trixie-security"
            print "deb-src [signed-by=" keyring "] " $2 " " suite " main"
        }' >"$apt/sources.list"
    grep -q ' trixie main' "$apt/sources.list" ||
        die 'this system'\''s apt sources name no Debian mirror; see /etc/apt/sources.list*'
    # The system's own settings (a proxy, for one) are read first; this comes on top of them.
    cat >"$apt/apt.conf" <<CONF
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "-";
Dir::State::Lists "$apt/lists";
Dir::Cache "$apt/cache";
APT::Sandbox::User "root";
Acquire::Languages "none";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
CONF
}

fetch() {
    configure_apt
    say 'reading the list of trixie'\''s sources'
    apt-get -c "$apt/apt.conf" -q -o APT::Update::Error-Mode=any update ||
        [ -n "$(ls "$apt"/lists/*_source_Sources* 2>/dev/null)" ] || die 'no source list could be read'
    mkdir -p "$deps/source"
    cd "$deps/source"
    apt-get -c "$apt/apt.conf" -q --download-only source wolfssl ||
        die 'the source package could not be fetched or verified'
    version=$(apt-cache -c "$apt/apt.conf" showsrc --only-source wolfssl |
        awk '$1 == "Version:" { print $2 }' | sort -V | tail -n 1)
    dsc=$deps/source/wolfssl_$version.dsc
    [ -f "$dsc" ] || die "$dsc did not arrive"
}

build() {
    work=$deps/work.$$
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    rm -rf "$work"
    mkdir -p "$work"
    cd "$work"
    # apt has checked the files against the signed list; this unpacks them and applies Debian's patches.
    dpkg-source --no-check -x "$dsc" src >log 2>&1 || { cat log; die 'unpacking failed'; }
    cd src
    say "building $version, about 90 seconds on two cores"
    # CC carries the hardening: configure copies CPPFLAGS and CFLAGS into the installed options.h.
    # shellcheck disable=SC2086 # words
    { autoreconf -fi &&
        ./configure --prefix="$work/out" $features CC="${CC:-gcc} $harden" CFLAGS='-O2 -g1 -fPIC' \
            EXTRA_CPPFLAGS="$(echo "$macros" | tr "\n" " ")" &&
        env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -j"$(nproc)" &&
        env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make install-data install-exec; } >../log 2>&1 || {
        tail -n 60 ../log
        die 'the build failed'
    }
    cd "$deps"
    echo "$version" >"$work/out/version"
    rm -rf "$built"
    mv "$work/out" "$built"
    say "$version is in $built"
}

exec 9>"$deps/lock"
flock 9
if [ "${REFRESH:-0}" = 1 ]; then
    fetch
    [ "$(cat "$built/version" 2>/dev/null || :)" = "$version" ] || build
elif [ ! -f "$built/version" ]; then
    fetch
    build
fi
point
