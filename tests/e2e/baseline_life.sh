#!/bin/sh
# test: a baseline's life on a running gateway: two people, an activation to come, a grace that ends by itself, rings
cd "$(dirname "$0")" && . ./lib.sh

a_gateway edge
enrolled edge
must 'an author' gateway_operator author author
must 'an approver' gateway_operator approver approver
first=$baseline

body() { jq -n "$@" >"$work/body"; }
step() { # WHO ID STEP [BODY-FILE]
    call admin "$1" POST "/v1/baselines/$2/$3" "${4-$work/empty}"
}
state() {
    call admin admin GET "/v1/baselines/$1"
    field .state
}
reaches() { # ID STATE: within ten seconds
    for _ in $(seq 50); do
        [ "$(state "$1")" = "$2" ] && return
        sleep 0.2
    done
    return 1
}

# --- two people --------------------------------------------------------------------------------------

call admin admin GET "/v1/baselines/$first"
field '.document | .label = "the same once more"' >"$work/document"
call admin author POST /v1/models/acme-edge9/baselines "$work/document"
answered 'an author drafts a baseline' 201
second=$(field .id)
step approver "$second" activate
answered 'a draft is not activated' 409 wrong_state
step author "$second" submit
answered 'it is submitted' 200
call admin author PUT "/v1/baselines/$second" "$work/document"
answered 'after which it does not change' 409 wrong_state
body '{reason: "which kernel?"}'
step approver "$second" reject "$work/body"
answered 'an approver rejects it' 200
same 'and says why' 'draft rejected: which kernel?' "$(field '"\(.state) \(.note)"')"
step admin "$second" submit
step admin "$second" approve
answered 'who submitted it does not approve it' 403 own_baseline
step approver "$second" approve
answered 'another operator does' 200

# --- an activation to come, and what it replaces -------------------------------------------------------

body --arg first "$first" --arg at "$(date -u -d '+1 hour' +%Y-%m-%dT%H:%M:%SZ)" '{at: $at, replaces: [$first], grace_s: 3}'
step approver "$second" activate "$work/body"
answered 'it is to be activated in an hour' 200
same 'it is approved meanwhile' approved "$(state "$second")"
step approver "$second" unschedule
answered 'that is taken back' 200
body --arg first "$first" --arg at "$(date -u -d '+2 seconds' +%Y-%m-%dT%H:%M:%SZ)" '{at: $at, replaces: [$first], grace_s: 3}'
step approver "$second" activate "$work/body"
answered 'it is to be activated in two seconds' 200
gateway_stop
sleep 3
must 'the gateway is back, too late' gateway_start
claim 'what was missed is made up for' reaches "$second" active
claim 'what it replaces is retired when its grace ends' reaches "$first" retired
call admin admin GET '/v1/audit?action=baseline.&limit=1000'
claim 'the audit says that the gateway did it by itself' jq -e '
    [.items[] | select(.actor == "system") | .action] == ["baseline.deprecate", "baseline.activate", "baseline.retire"]' "$answer"
device_attests edge
answered 'a device that meets the new one gets its credential' 201

# --- the end -------------------------------------------------------------------------------------------

body '{grace_s: 2}'
step approver "$second" deprecate "$work/body"
answered 'it is deprecated' 200
device_attests edge
answered 'and accepted until its grace ends' 201
claim 'which retires it' reaches "$second" retired
device_attests edge
answered 'from then on nothing is accepted' 403 untrusted
step approver "$second" activate
answered 'what is retired is not activated' 409 wrong_state
step admin "$second" revoke
answered 'but may still be revoked' 200
call admin admin GET /metrics
claim 'the metrics count what happened by itself' grep -q '^gatehouse_baseline_steps_total{step="retired"} 2$' "$answer"

# --- ring by ring --------------------------------------------------------------------------------------

rollout() { # ID
    call admin admin GET "/v1/baselines/$1"
    field '.rollout | "\(.state) \(.percent) \(.appraised) \(.failed)"'
}
rolls() { # ID ROLLOUT: within ten seconds
    for _ in $(seq 50); do
        [ "$(rollout "$1")" = "$2" ] && return
        sleep 0.2
    done
    return 1
}
call admin author POST /v1/models/acme-edge9/baselines "$work/document"
third=$(field .id)
step author "$third" submit
step approver "$third" approve
call admin admin GET '/v1/devices?limit=1'
body --arg device "$(field '.items[0].id')" \
    '{rollout: {devices: [$device], rings: [25], max_failure_percent: 10, min_appraisals: 1, min_s: 0}}'
step approver "$third" activate "$work/body"
answered 'a baseline is to reach its fleet ring by ring' 200
same 'a named device comes first' 'running 0 0 0' "$(rollout "$third")"
device_attests edge
answered 'for which the baseline counts' 201
claim 'the next ring opens' rolls "$third" 'running 25 0 0'
body '{action: "halt"}'
step approver "$third" rollout "$work/body"
answered 'the rollout is halted' 200
gateway_stop
must 'the gateway is back' gateway_start
same 'and the rollout as it was' 'halted 25 0 0' "$(rollout "$third")"
device_attests edge
answered 'who is in the ring keeps the baseline' 201
body '{action: "complete"}'
step approver "$third" rollout "$work/body"
answered 'everybody gets it' 200
same 'and the rollout is complete' 'complete 100 0 0' "$(rollout "$third")"
step approver "$third" rollout "$work/body"
answered 'once' 409 wrong_state
finish
