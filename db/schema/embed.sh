#!/bin/sh
# embed.sh FILE.sql...: prints a C source that holds the migrations, each with its number, name,
# SHA-256 and text, in the order of their numbers.
set -eu

echo '#include "db/sqlite/migrate.h"'
echo
echo 'const struct migration migrations[] = {'
for file in $(printf '%s\n' "$@" | sort); do
    name=$(basename "$file" .sql)
    case $name in
    [0-9][0-9][0-9][0-9]_[a-z]*) ;;
    *)
        echo "embed.sh: $file is not named NNNN_name.sql" >&2
        exit 1
        ;;
    esac
    sum=$(sha256sum <"$file")
    number=$(echo "${name%%_*}" | sed 's/^0*//')
    printf '    {%s, "%s", "%s",\n' "$number" "$name" "${sum%% *}"
    sed 's/\\/\\\\/g; s/"/\\"/g; s/^/     "/; s/$/\\n"/' "$file"
    echo '    },'
done
echo '};'
echo 'const size_t num_migrations = sizeof migrations / sizeof migrations[0];'
