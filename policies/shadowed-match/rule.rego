# METADATA
# title: A match of a route can be reached
# description: >-
#   Of two matches with the same conditions the first one takes every request:
#   the earlier rule of a route, or, between routes of one parent and the same
#   hostnames, the older route, then the one whose name comes first. The other
#   is never used, so what it does, such as a filter or another backend, does
#   not happen. Routes of the same namespace and kind are compared where there
#   are no more than 100 of them, for everyone has to be held against all
#   others; validate reports what translation finds out of reach (MK2036),
#   however many there are.
# custom:
#   code: MKR011
#   severity: warning
#   since: 0.2.0
#   hint: remove the match, or give it a condition of its own
#   kinds:
#     - HTTPRoute.gateway.networking.k8s.io
#     - GRPCRoute.gateway.networking.k8s.io
package meshknot.shadowed_match

import data.lib.inventory
import data.lib.meshknot as lib
import data.lib.route

violation contains {"msg": msg, "field": mine.field} if {
	judged
	some mine in entries(lib.resource)
	earlier := [other | some other in entries(lib.resource); other.key == mine.key; other.order < mine.order]
	msg := sprintf("%s holds for the same requests and comes first", [earlier[0].field])
}

violation contains {"msg": msg, "field": mine.field} if {
	judged
	count(peers) <= 100
	some other in rivals
	precedes(other, lib.resource)
	hostnames(other) == hostnames(lib.resource)
	count(parents(other) & parents(lib.resource)) > 0
	some mine in entries(lib.resource)
	some i, rule in other.spec.rules
	some k, match in matches(rule)

	# Saves time only: most matches differ in their path.
	path(match) == mine.key.path.value

	canonical(match) == mine.key
	msg := sprintf("%s of %s %s holds for the same requests and comes first", [place(rule, i, k), other.kind, other.metadata.name])
}

# The routes that may be alike; most have other hostnames or, without hostnames,
# other parents.
rivals := [other | some other in peers; hostname in other.spec.hostnames] if hostname := lib.spec.hostnames[0]

else := [other | some other in peers; some ref in other.spec.parentRefs; ref.name in names]

peers := inventory.objects(lib.namespace, route.group, lib.resource.kind)

names := {ref.name | some ref in lib.spec.parentRefs}

path(match) := object.get(match, ["path", "value"], "/")

judged if {
	some kind in {"HTTPRoute", "GRPCRoute"}
	lib.is_a(route.group, kind)
}

# Every match of a route, with what it asks for in one form.
entries(resource) := [{"order": [i, k], "field": field, "key": canonical(match)} |
	some i, rule in resource.spec.rules
	some k, match in matches(rule)
	field := place(rule, i, k)
]

matches(rule) := rule.matches if count(rule.matches) > 0

else := [{}]

place(rule, i, k) := sprintf("spec.rules[%d].matches[%d]", [i, k]) if rule.matches[k]

else := sprintf("spec.rules[%d]", [i])

canonical(match) := {
	"path": object.union({"type": "PathPrefix", "value": "/"}, object.get(match, "path", {})),
	"method": object.get(match, "method", null),
	"headers": {[lower(h.name), object.get(h, "type", "Exact"), h.value] | some h in match.headers},
	"queryParams": {[q.name, object.get(q, "type", "Exact"), q.value] | some q in match.queryParams},
}

hostnames(resource) := {name | some name in resource.spec.hostnames}

parents(resource) := {object.union({"namespace": lib.namespace}, ref) | some ref in resource.spec.parentRefs}

# The older route comes first, then the name that does; what has no time is new.
precedes(one, two) if seniority(one) < seniority(two)

seniority(resource) := [object.get(resource, ["metadata", "creationTimestamp"], "9999"), resource.metadata.name]
