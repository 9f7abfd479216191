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
#   hint: say which paths or methods are meant; to mean all of them, leave the HTTPRouteGroup out and name a TCPRoute
package meshknot.open_route_match

import data.lib.meshknot as lib

violation contains {"msg": msg, "field": field, "details": {"match": name}} if {
	lib.is_a("specs.smi-spec.io", "HTTPRouteGroup")
	some i, match in lib.spec.matches
	any_path(match)
	any_method(match)
	count(object.get(match, "headers", [])) == 0
	name := object.get(match, "name", "")
	field := lib.field(sprintf("matches[%d]", [i]))
	msg := sprintf("match %q holds for every request", [name])
}

# Paths are matched from their start, so an expression that says nothing after
# the first slash holds for all of them.
any_path(match) if regex.match(`^\^?(/\??)?(\.\*\$?)?$`, object.get(match, "pathRegex", ""))

any_method(match) if count(object.get(match, "methods", [])) == 0

any_method(match) if "*" in match.methods
