# METADATA
# title: A route match has a condition
# description: >-
#   A match of an HTTPRouteGroup without a path, method or header holds for
#   every request. In a TrafficTarget it grants everything that the destination
#   serves, administration included; in a TrafficSplit it is no condition at all.
#   An expression that every path satisfies, such as ".*", counts as none.
# custom:
#   code: MKR001
#   severity: warning
#   since: 0.1.0
#   hint: say which paths or methods are meant; to mean all of them, leave the HTTPRouteGroup out and name a TCPRoute
#   kinds:
#     - HTTPRouteGroup.specs.smi-spec.io
package meshknot.open_route_match

import data.lib.meshknot as lib

violation contains {"msg": msg, "field": field, "details": {"match": name}} if {
	lib.is_a("specs.smi-spec.io", "HTTPRouteGroup")
	some i, match in lib.spec.matches
	lib.any_path(match)
	lib.any_method(match)
	count(object.get(match, "headers", [])) == 0
	name := object.get(match, "name", "")
	field := lib.field(sprintf("matches[%d]", [i]))
	msg := sprintf("match %q holds for every request", [name])
}
