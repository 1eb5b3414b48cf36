#!/bin/sh
# test: only the chain writes rows of the audit log
set -u

cd "$(dirname "$0")/../.." || exit 1
claim='what is audited goes through audit_append'
writers=$(grep -rlE 'store_audit_(insert|set_hash)' api config db server --include='*.[ch]' |
    grep -vxE 'server/fleet/audit_chain\.c|db/store\.h|db/sqlite/audit\.c')
if [ -z "$writers" ]; then
    echo "ok - $claim"
else
    echo "not ok - $claim: $writers"
    exit 1
fi
