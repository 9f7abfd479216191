# METADATA
# title: A share of traffic grows in steps
# description: >-
#   The share of one backend grows by more percentage points than the parameter
#   points allows: from 5 to 60 percent there is no step at which a bad version
#   would have been noticed. The rule compares the object with the one that it
#   takes the place of: input.review.oldObject in an admission review, the
#   objects of --previous elsewhere. Where neither is given, and for a new
#   object, it has nothing to compare and says nothing.
# custom:
#   code: MKR015
#   severity: warning
#   since: 0.2.0
#   hint: take a smaller step
#   kinds:
#     - TrafficSplit.split.smi-spec.io
#     - HTTPRoute.gateway.networking.k8s.io
#     - GRPCRoute.gateway.networking.k8s.io
#     - TCPRoute.gateway.networking.k8s.io
#     - TLSRoute.gateway.networking.k8s.io
#   parameters:
#     points:
#       type: number
#       default: 25
#       description: the percentage points by which a share may grow at once
package meshknot.weight_jump

import data.lib.meshknot as lib
import data.lib.route

violation contains {"msg": msg, "field": field} if {
	lib.is_a("split.smi-spec.io", "TrafficSplit")
	some i, backend in lib.spec.backends
	before := share(previous_weights, backend.service)
	now := share(weights, backend.service)
	msg := complaint(backend.service, before, now)
	field := lib.field(sprintf("backends[%d].weight", [i]))
}

violation contains {"msg": msg, "field": field} if {
	some backend in route.backends
	rule := lib.spec.rules[backend.rule]
	some old in lib.previous.rules
	object.get(old, "matches", []) == object.get(rule, "matches", [])
	before := share([[key(b), route.weight(b)] | some b in old.backendRefs], key(backend.ref))
	now := share([[key(b), route.weight(b)] | some b in rule.backendRefs], key(backend.ref))
	msg := complaint(backend.ref.name, before, now)
	field := sprintf("%s.weight", [backend.field])
}

# The backends of a split with their weights.
weights := [[b.service, lib.weight(b)] | some b in lib.spec.backends]

previous_weights := [[b.service, lib.weight(b)] | some b in lib.previous.backends]

key(ref) := [route.namespace(ref), ref.name, object.get(ref, "port", 0)]

# The share of a backend in percent; undefined where nothing has a weight.
share(weights, name) := (100 * sum([w[1] | some w in weights; w[0] == name])) / sum([w[1] | some w in weights])

complaint(name, before, now) := sprintf("%s grows by %v percentage points, from %v to %v; %v are allowed", [
	name,
	round(now - before),
	round(before),
	round(now),
	lib.parameter("points", 25),
]) if {
	now - before > lib.parameter("points", 25)
}
