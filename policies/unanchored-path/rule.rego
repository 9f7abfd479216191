# METADATA
# title: A granted path says where it ends
# description: >-
#   The pathRegex of a match that a TrafficTarget grants is tied to the start of
#   the path, but not to its end, so "/api" grants "/api-admin" too; and some
#   meshes tie it at both ends, so the same policy means two things. An
#   expression with alternatives outside of parentheses is tied at one end of
#   each only. It should end in "$", or say that more may follow: "/", "/.*".
# custom:
#   code: MKR009
#   severity: warning
#   since: 0.2.0
#   hint: end the expression in $ or /.*; put alternatives into parentheses
#   kinds:
#     - HTTPRouteGroup.specs.smi-spec.io
package meshknot.unanchored_path

import data.lib.inventory
import data.lib.meshknot as lib

violation contains {"msg": msg, "field": field} if {
	lib.is_a("specs.smi-spec.io", "HTTPRouteGroup")
	some i, match in lib.spec.matches
	not lib.any_path(match)
	inventory.grants(lib.namespace, lib.resource.metadata.name, match)
	msg := complaint(match.pathRegex)
	field := lib.field(sprintf("matches[%d].pathRegex", [i]))
}

complaint(expression) := sprintf("%q does not say where the path ends", [expression]) if {
	not regex.match(`(\$|/|\.\*|\.\+)$`, without_escapes(expression))
} else := sprintf("the alternatives of %q are not in parentheses", [expression]) if {
	contains(without_groups(expression), "|")
}

# What is left of an expression without escapes, classes and two levels of groups.
without_groups(expression) := regex.replace(regex.replace(flat, `\([^()]*\)`, ""), `\([^()]*\)`, "") if {
	flat := regex.replace(without_escapes(expression), `\[[^\]]*\]`, "")
}

without_escapes(expression) := regex.replace(expression, `\\.`, "x")
