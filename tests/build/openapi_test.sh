#!/bin/sh
# test: the contract is a well-formed OpenAPI 3.1 document
set -u

cd "$(dirname "$0")/../.." || exit 1
claim='api/openapi.yaml is well-formed OpenAPI 3.1'
python=/usr/bin/python3

if ! $python -c 'import jsonschema, yaml; jsonschema.Draft202012Validator' 2>/dev/null; then
    echo "skip - $claim: python3-jsonschema or python3-yaml is not installed"
    exit 0
fi

# check FILE: prints what is wrong with it; fails when anything is.
check() {
    $python - "$1" tests/vectors/openapi/schema-3.1.json <<'END'
import json, sys, jsonschema, yaml

document = yaml.safe_load(open(sys.argv[1], encoding="utf-8"))
schema = json.load(open(sys.argv[2], encoding="utf-8"))
faults = ["/".join(map(str, e.absolute_path)) + ": " + e.message[:200]
          for e in jsonschema.Draft202012Validator(schema).iter_errors(document)]
for name, part in document["components"]["schemas"].items():
    try:
        jsonschema.Draft202012Validator.check_schema(part)
    except jsonschema.SchemaError as e:
        faults.append(f"components/schemas/{name}: {e.message[:200]}")
names = [o["operationId"] for path in document["paths"].values()
         for o in path.values() if isinstance(o, dict) and "operationId" in o]
faults += [f"operationId {n} stands twice" for n in set(names) if names.count(n) > 1]
print("\n".join(faults))
sys.exit(1 if faults else 0)
END
}

failed=0
if check api/openapi.yaml; then echo "ok - $claim"; else
    echo "not ok - $claim"
    failed=1
fi

# And the check sees what it is there to see.
broken=$(mktemp) || exit 1
trap 'rm -f "$broken"' EXIT
for edit in 's/^      responses:$/      response:/' 's/type: mutualTLS/type: mutual/' 's/^openapi: 3.1.0/openapi: 2.0/' \
    's/operationId: model_show/operationId: model_list/' 's/minimum: 300/minimum: low/'; do
    sed "$edit" api/openapi.yaml >"$broken"
    if check "$broken" >/dev/null; then
        echo "not ok - a broken document is seen: $edit"
        failed=1
    else
        echo "ok - a broken document is seen: $edit"
    fi
done
exit $failed
