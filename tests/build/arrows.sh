#!/bin/sh
# arrows.sh [ROOT]: holds every include under ROOT against the floors of the architecture.
#
# An arrow points down: a folder includes itself and what is on a lower floor, never a neighbour and
# never what is above it. A header of a foreign library has its homes, and is included nowhere else.
# Prints each include that breaks this, and ends with 1 when there was one.
set -eu

cd "${1:-.}"
# shellcheck disable=SC2016 # the dollars are awk's
find config db api server -name '*.[ch]' 2>/dev/null | sort | xargs awk '
    BEGIN {
        # Ground up. Folders with the same number are neighbours.
        split("server/base 1, config 2, server/crypto 3, server/tpm 4, server/evidence 5, server/identity 5," \
              "server/appraisal 6, server/credential 6, db 7, server/fleet 8, api 9, server/transport 10," \
              "server/commands 11, server 12", floors, / *, */)
        for (i in floors) { split(floors[i], f, " "); floor[f[1]] = f[2] }
        # What may be seen, where it is less than everything below.
        only["config"] = only["db"] = " server/base "
        # Evidence in, verdict out: nothing about how this server is set up.
        split("server/crypto server/tpm server/evidence server/identity server/appraisal", pure, " ")
        for (i in pure) blind[pure[i], "config"] = 1

        # Foreign headers: the first pattern that fits names the homes.
        home("^sqlite3", "db/sqlite")
        home("^(libpq-fe|postgres)", "db/postgres")
        home("^jansson", "api server/appraisal server/commands")
        home("^microhttpd", "server/transport")
        home("^wolfssl/(options|ssl)\\.h$", "server/transport server/crypto")
        home("^wolfssl/", "server/crypto")
        home("^tss2/", "server/tpm")
        home("^urcu", "server/fleet server/transport")
        home("^ini\\.h$", "config")
        home("^libtasn1", "server/crypto server/credential")
        home("^p11-kit/", "server/crypto")
        home("^seccomp", "server/credential")
        home("^curl/", "server/commands server/fleet/outbound*")
        home("^(check\\.h$|gnutls/|openssl/)", "")
    }
    function home(pattern, where) { patterns[++num_patterns] = pattern; homes[num_patterns] = where }

    # "server/evidence/tpm2/tpm2.c" lives in server/evidence, "db/sqlite/x.c" in db, "server/main.c" in server.
    function folder(path,    part) {
        split(path, part, "/")
        if (part[1] == "server") return path ~ /^server\/[^\/]+\// ? "server/" part[2] : "server"
        return part[1]
    }
    function refuse(why) { printf "%s:%d: %s\n", FILENAME, FNR, why; bad = 1 }
    function own_header(path,    from, to) {
        from = folder(FILENAME); to = folder(path)
        if (!(from in floor)) return refuse("the folder " from " is on no floor")
        if (!(to in floor)) return refuse("\"" path "\" is not written from the root of a known folder")
        if (from == to) return 0
        if (from in only && index(only[from], " " to " ") == 0) return refuse(from " sees only" only[from] "and not " to)
        if ((from, to) in blind) return refuse(from " is pure: it may not include " to)
        if (floor[to] + 0 >= floor[from] + 0) return refuse(from " may not include " to ", which is not below it")
    }
    function foreign_header(path,    i, j, n, place) {
        for (i = 1; i <= num_patterns; i++) if (path ~ patterns[i]) {
            n = split(homes[i], place, " ")
            for (j = 1; j <= n; j++) { # a folder, or files whose names begin so: "server/fleet/outbound*"
                if (sub(/\*$/, "", place[j]) == 0) place[j] = place[j] "/"
                if (index(FILENAME, place[j]) == 1) return 0
            }
            return refuse("<" path "> has its home in " (n > 0 ? homes[i] : "the tests only"))
        }
    }
    /^[ \t]*#[ \t]*include[ \t]*"/ { split($0, quoted, "\""); own_header(quoted[2]) }
    /^[ \t]*#[ \t]*include[ \t]*</ { split($0, angled, /[<>]/); foreign_header(angled[2]) }
    END { exit bad }
' /dev/null
