#!/bin/sh
# mirror.sh: where this system installs Debian from, by its own apt configuration: lines of
# "archive URI" and "security URI" (the security updates), the first of each kind being the preferred one.
# Reads both of apt's notations, sources.list and deb822.
set -eu

apt=${APT_DIR:-/etc/apt}
# shellcheck disable=SC1091 # it is there on every Debian
codename=${CODENAME:-$(. /etc/os-release && echo "${VERSION_CODENAME:?}")}

{
    cat "$apt/sources.list" "$apt"/sources.list.d/*.list 2>/dev/null || :
} | awk -v release="$codename" '
    $1 == "deb" {
        sub(/^deb[ \t]+(\[[^]]*\][ \t]*)?/, "")
        if ($2 == release) print "archive", $1
        if ($2 == release "-security") print "security", $1
    }'

for file in "$apt"/sources.list.d/*.sources; do
    [ -f "$file" ] || continue
    awk -v release="$codename" '
        function flush(    i, j, uris, suites, uri, suite) {
            if (field["enabled"] != "no" && field["types"] ~ /(^|[ \t])deb([ \t]|$)/) {
                uris = split(field["uris"], uri)
                suites = split(field["suites"], suite)
                for (i = 1; i <= uris; i++) for (j = 1; j <= suites; j++) {
                    if (suite[j] == release) print "archive", uri[i]
                    if (suite[j] == release "-security") print "security", uri[i]
                }
            }
            split("", field)
        }
        /^#/ { next }
        /^[ \t]*$/ { flush(); next }
        /^[ \t]/ { field[name] = field[name] " " $0; next }
        { name = tolower($0); sub(/:.*/, "", name); sub(/^[^:]*:[ \t]*/, ""); field[name] = $0 }
        END { flush() }' "$file"
done
