# METADATA
# title: A grant says which methods may be used
# description: >-
#   A match that a TrafficTarget grants names a path or a header, but no method,
#   or "*". Whoever was meant to read may then write and delete too. Matches
#   that only a TrafficSplit uses are left alone, for they grant nothing, and
#   those without any condition are found by open-route-match.
# custom:
#   code: MKR008
#   severity: warning
#   since: 0.2.0
#   hint: list the methods that the callers need
#   kinds:
#     - HTTPRouteGroup.specs.smi-spec.io
package meshknot.any_method_grant

import data.lib.inventory
import data.lib.meshknot as lib

violation contains {"msg": msg, "field": field} if {
	lib.is_a("specs.smi-spec.io", "HTTPRouteGroup")
	some i, match in lib.spec.matches
	lib.any_method(match)
	conditional(match)
	inventory.grants(lib.namespace, lib.resource.metadata.name, match)
	field := lib.field(sprintf("matches[%d]", [i]))
	msg := sprintf("match %q grants every method", [match.name])
}

conditional(match) if not lib.any_path(match)

conditional(match) if count(match.headers) > 0
