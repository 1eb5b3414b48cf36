#!/bin/sh
# test: the layering holds here, and the check of it refuses what it should refuse
set -u

here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d) || exit 1
trap 'rm -rf "$tree"' EXIT
failed=0

ok() { echo "ok - $1"; }
not_ok() { echo "not ok - $1"; failed=1; }

# file PATH LINE: a tree of one file with this one include.
file() {
    rm -rf "$tree/src"
    mkdir -p "$tree/src/$(dirname "$1")"
    printf '%s\n' "$2" >"$tree/src/$1"
}
refuses() {
    file "$1" "$2"
    if sh "$here/arrows.sh" "$tree/src" >"$tree/out"; then
        not_ok "arrows refuse $2 in $1"
    elif grep -q "^$1:1: " "$tree/out"; then
        ok "arrows refuse $2 in $1"
    else
        not_ok "arrows say where $2 in $1 stands"
    fi
}
allows() {
    file "$1" "$2"
    if sh "$here/arrows.sh" "$tree/src" >"$tree/out"; then ok "arrows allow $2 in $1"; else not_ok "arrows allow $2 in $1"; fi
}

if sh "$here/arrows.sh" "$here/../.."; then ok 'every include of this tree points down'; else not_ok 'every include of this tree points down'; fi

refuses server/base/x.c '#include "server/crypto/digest.h"'
refuses server/evidence/x.h '#include "server/identity/device_id.h"'
refuses server/evidence/tpm2/x.c '#include "server/appraisal/appraisal.h"'
refuses server/appraisal/x.c '#include "server/credential/signer.h"'
refuses server/appraisal/x.c '#include "config/config.h"'
refuses server/fleet/x.c '#include "api/routes.h"'
refuses api/device/x.c '#include "server/transport/transport.h"'
refuses server/transport/x.c '#include "server/commands/serve.h"'
refuses config/x.c '#include "server/evidence/facts.h"'
refuses db/sqlite/x.c '#include "server/crypto/digest.h"'
refuses db/store.h '#include "config/config.h"'
refuses server/base/x.c '#include "tests/unit/help.h"'
refuses server/base/x.c '#include "bytes.h"'
refuses server/novel/x.c '#include "server/base/bytes.h"'
refuses server/fleet/x.c '#include <sqlite3.h>'
refuses db/store.c '#include <sqlite3.h>'
refuses server/fleet/x.c '#include <jansson.h>'
refuses api/x.c '#include <microhttpd.h>'
refuses server/transport/x.c '#include <wolfssl/wolfcrypt/sha256.h>'
refuses server/evidence/tpm2/x.c '#  include <tss2/tss2_mu.h>'
refuses server/base/x.c '#include <urcu/urcu-memb.h>'
refuses server/commands/x.c '#include <ini.h>'
refuses db/x.c '#include <libtasn1.h>'
refuses server/main.c '#include <seccomp.h>'
refuses server/base/x.c '#include <check.h>'
refuses server/fleet/table.c '#include <curl/curl.h>'
refuses api/x.c '#include <curl/curl.h>'

allows server/main.c '#include "server/commands/serve.h"'
allows server/commands/serve.c '#include "server/transport/transport.h"'
allows server/fleet/table.c '#include "db/store.h"'
allows db/sqlite/store.c '#include <sqlite3.h>'
allows server/transport/tls.c '#include <wolfssl/ssl.h>'
allows server/evidence/tpm2/quote.c '#include "server/tpm/attest.h"'
allows server/fleet/outbound.c '#include <curl/curl.h>'
allows server/commands/x.c '#include <curl/curl.h>'
allows server/base/x.c '#include <string.h>'
exit $failed
