#!/bin/sh
# test: Envoy's and Traefik's questions in the form of their documentation, and the configurations that make them ask so
cd "$(dirname "$0")" && . ./lib.sh
# shellcheck source=tests/e2e/proxy_lib.sh
. ./tests/e2e/proxy_lib.sh

a_gateway edge lost
enrolled edge lost
must 'edge has a credential' credential edge
must 'lost has one' credential lost
must 'which is revoked' revoked lost
must 'envoy is registered' proxy_registered envoy envoy_xfcc
must 'traefik is registered' proxy_registered traefik traefik
id=$(cat "$work/edge/id")
url=https://localhost:$(port_of proxy)

# ask AS PATH CURL-OPTION...: leaves the status, the headers and the body.
ask() {
    as=$1 path=$2
    shift 2
    status=$(curl -sS --max-time 20 -o "$answer" -D "$headers" -w '%{http_code}' --path-as-is --cacert "$work/server-ca.pem" \
        --cert "$work/$as.pem" --key "$work/$as.key" "$@" "$url$path" 2>"$work/curl.err") || :
}
said() { tr -d '\r' <"$headers" | sed -n "s/^$1: //Ip"; }
der_of() { openssl x509 -in "$1" -outform DER | base64 -w 0; }
sha256_of() { openssl x509 -in "$1" -outform DER | sha256sum | cut -d ' ' -f 1; }
xfcc() { # CERTIFICATE: as SANITIZE_SET with cert: true writes it
    printf 'Hash=%s;Cert="%s"' "$(sha256_of "$1")" "$(openssl x509 -in "$1" | jq -rR --slurp @uri)"
}

# --- Envoy: method and path of the original, no body, a trace ------------------------------------------

envoy() { # METHOD PATH CURL-OPTION...
    method=$1 original=$2
    shift 2
    set -- -H 'Content-Length: 0' -H 'x-envoy-internal: true' -H 'x-envoy-expected-rq-timeout-ms: 2000' -H 'x-request-id: 1' "$@"
    if [ "$method" = HEAD ]; then set -- -I "$@"; else set -- -X "$method" "$@"; fi
    ask envoy "/v1/authorize/-$original" "$@"
}
good=$(xfcc "$work/edge-credential.pem")
for method in GET POST PUT DELETE OPTIONS PATCH HEAD; do
    envoy $method '/page?policy=none&x=%2F..%2F' -H "x-forwarded-client-cert: $good"
    same "envoy: $method is allowed" 200 "$status"
done
for header in X-Device-Id X-Device-Model X-Device-Tier X-Device-Segment X-Device-Key-Protection X-Device-Lease Cache-Control; do
    claim "envoy: with $header" test -n "$(said $header)"
done
same 'envoy: of that device' "$id" "$(said X-Device-Id)"
for path in / // /../../v1/decisions '/%2e%2e/%00' '/a/b/c?d=/v1' "/$(printf '%02000d' 0)"; do
    envoy GET "$path" -H "x-forwarded-client-cert: $good"
    same "envoy: the path is not looked at: $(printf '%.30s' "$path")" 200 "$status"
done
envoy GET /page
same 'envoy: who has no certificate' 401 "$status"
claim 'envoy: is told what is wanted' test -n "$(said WWW-Authenticate)"
envoy GET /page -H "x-forwarded-client-cert: $(xfcc "$work/lost-credential.pem")"
same 'envoy: a revoked credential' 403 "$status"
envoy GET /page -H "x-forwarded-client-cert: $(xfcc "$work/edge.pem")"
same 'envoy: a certificate of the identity authority' 403 "$status"
envoy GET /page -H "x-forwarded-client-cert: $good,$good"
same 'envoy: two hops, of which SANITIZE_SET leaves one' 403 "$status"
envoy GET /page -H "x-forwarded-client-cert: $good" -H "x-forwarded-client-cert: $good"
same 'envoy: the header twice' 403 "$status"
for other in "X-Forwarded-Tls-Client-Cert: $(der_of "$work/edge-credential.pem")" "Client-Cert: :$(der_of "$work/edge-credential.pem"):" \
    "X-Client-Cert: $(der_of "$work/edge-credential.pem")" "x_forwarded_client_cert: $good"; do
    envoy GET /page -H "$other"
    same "envoy: another's dialect is not listened to: ${other%%:*}" 401 "$status"
done

# --- Traefik: GET, and what was asked in X-Forwarded-* ---------------------------------------------------

traefik() { # CURL-OPTION...
    ask traefik /v1/authorize -H 'X-Forwarded-Method: POST' -H 'X-Forwarded-Proto: https' -H 'X-Forwarded-Host: app.example' \
        -H 'X-Forwarded-Uri: /page?x=y' -H 'X-Forwarded-For: 192.0.2.7' -H 'Accept-Encoding: gzip' -H 'User-Agent: Go-http-client/1.1' "$@"
}
der=$(der_of "$work/edge-credential.pem")
traefik -H "X-Forwarded-Tls-Client-Cert: $der"
same 'traefik: a credential is allowed' "200 $id" "$status $(said X-Device-Id)"
traefik -H "X-Forwarded-Tls-Client-Cert: $der,$(der_of "$gateway/ca/access.pem")"
same 'traefik: with its chain behind it' "200 $id" "$status $(said X-Device-Id)"
traefik
same 'traefik: who has no certificate' 401 "$status"
traefik -H "X-Forwarded-Tls-Client-Cert: $(der_of "$work/lost-credential.pem")"
same 'traefik: a revoked credential' 403 "$status"
traefik -H "X-Forwarded-Tls-Client-Cert: $(der_of "$work/edge.pem")"
same 'traefik: a certificate of the identity authority' 403 "$status"
traefik -H "X-Forwarded-Tls-Client-Cert: $(der_of "$gateway/ca/access.pem"),$der"
same 'traefik: the first is the one that counts' 403 "$status"
traefik -H "X-Forwarded-Client-Cert: $good" -H 'X-Forwarded-Tls-Client-Cert-Info: Subject="CN=x"'
same "traefik: another's dialect is not listened to" 401 "$status"

# --- the configurations ----------------------------------------------------------------------------------

application=9
# shellcheck disable=SC2046 # words
proxy_config envoy 18443 $(proxy_identity envoy) --crl /a/x.crl >"$work/envoy.yaml"
set -- --kind traefik --server-name localhost --cert /a/site.pem --key /a/site.key --access-ca /a/access.pem
# shellcheck disable=SC2046 # words
"$gatehouse" proxy-config "$@" $(proxy_identity traefik) >"$work/traefik.yaml"
"$gatehouse" proxy-config --kind traefik --part static >"$work/static.yaml"
cat >"$work/read_yaml.py" <<'END'
import sys, yaml
def strict(loader, node):
    keys = [loader.construct_object(k) for k, _ in node.value]
    assert len(keys) == len(set(keys)), keys
    return {loader.construct_object(k, deep=True): loader.construct_object(v, deep=True) for k, v in node.value}
yaml.SafeLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, strict)
device = {"x-device-" + n for n in ("id", "model", "tier", "segment", "key-protection", "lease")}
def envoy(c):
    static = c["static_resources"]
    chain = static["listeners"][0]["filter_chains"][0]
    tls = chain["transport_socket"]["typed_config"]
    http = chain["filters"][0]["typed_config"]
    filters = [f["name"] for f in http["http_filters"]]
    clear, ask = (f["typed_config"] for f in http["http_filters"][:2])
    yield "a certificate is required", tls["require_client_certificate"] is True
    yield "of the access authority", tls["common_tls_context"]["validation_context"]["trusted_ca"]["filename"].endswith("/ca/access.pem")
    yield "with the list", tls["common_tls_context"]["validation_context"]["crl"]["filename"] == "/a/x.crl"
    yield "it fails closed", ask["failure_mode_allow"] is False and ask["http_service"]["server_uri"]["timeout"] == "2s"
    yield "headers go, then Gatehouse is asked, then the request goes on", filters == [
        "envoy.filters.http.header_mutation", "envoy.filters.http.ext_authz", "envoy.filters.http.router"]
    yield "every header of the device goes", device <= {m["remove"] for m in clear["mutations"]["request_mutations"]}
    yield "every header of the device comes", device == {
        p["exact"] for p in ask["http_service"]["authorization_response"]["allowed_upstream_headers"]["patterns"]}
    yield "the policy is not the client's", ask["http_service"]["path_prefix"] == "/v1/authorize/-"
    yield "the certificate is written by Envoy", http["forward_client_cert_details"] == "SANITIZE_SET" and \
        http["set_current_client_cert_details"] == {"cert": True}
    yield "and nothing else goes to Gatehouse", ask["allowed_headers"]["patterns"] == [{"exact": "x-forwarded-client-cert"}]
    yield "underscores go", http["common_http_protocol_options"]["headers_with_underscores_action"] == "DROP_HEADER"
    clusters = {c["name"]: c for c in static["clusters"]}
    yield "each cluster that is named is there", set(clusters) == {"gatehouse", "gatehouse_application"}
    up = clusters["gatehouse"]["transport_socket"]["typed_config"]["common_tls_context"]
    yield "Gatehouse is known by its name", up["validation_context"]["match_typed_subject_alt_names"] == [
        {"san_type": "DNS", "matcher": {"exact": "localhost"}}] and up["validation_context"]["trusted_ca"]["filename"]
def traefik(c):
    http = c["http"]
    m = http["middlewares"]
    ask = m["gatehouse"]["forwardAuth"]
    options = c["tls"]["options"]["default"]
    cleared = m["gatehouse-clear"]["headers"]["customRequestHeaders"]
    yield "a certificate is required", options["clientAuth"] == {
        "caFiles": ["/a/access.pem"], "clientAuthType": "RequireAndVerifyClientCert"}
    yield "the middlewares are in order and all there", http["routers"]["gatehouse-application"]["middlewares"] == [
        "gatehouse-clear", "gatehouse-certificate", "gatehouse", "gatehouse-done"] and len(m) == 4
    yield "every header of the device goes", device <= {k.lower() for k in cleared} and set(cleared.values()) == {""}
    yield "every header of the device comes", device == {h.lower() for h in ask["authResponseHeaders"]}
    yield "and nothing else goes to Gatehouse", ask["authRequestHeaders"] == ["X-Forwarded-Tls-Client-Cert"]
    yield "X-Forwarded headers of the client are not believed", ask["trustForwardHeader"] is False
    yield "Gatehouse is verified", ask["tls"]["insecureSkipVerify"] is False and ask["tls"]["ca"] and ask["tls"]["cert"]
    yield "the certificate is written by Traefik", m["gatehouse-certificate"]["passTLSClientCert"] == {"pem": True}
    yield "the question is the one that is answered", ask["address"].endswith("/v1/authorize")
def static(c):
    yield "the entry point is the one that the router names", "gatehouse" in c["entryPoints"]
    yield "clients' X-Forwarded headers are not believed", c["entryPoints"]["gatehouse"]["forwardedHeaders"]["insecure"] is False
for kind, check in (("envoy", envoy), ("traefik", traefik), ("static", static)):
    for text, good in check(yaml.safe_load(open(f"{sys.argv[1]}/{kind}.yaml"))):
        print("ok" if good else "not ok", "-", f"{kind}: {text}")
END
python3 "$work/read_yaml.py" "$work" >"$work/yaml.out" 2>&1
read_well=$?
cat "$work/yaml.out"
failed=$((failed + $(grep -c '^not ok' "$work/yaml.out")))
same 'every configuration is read to its end' 0 $read_well
finish
