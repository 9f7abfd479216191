# METADATA
# title: A grant of Secrets names them
# description: >-
#   A ReferenceGrant lets objects of another namespace refer to every Secret of
#   this one, for it names none. Who may create a Gateway there can present any
#   certificate of this namespace, those of tomorrow included.
# custom:
#   code: MKR023
#   severity: warning
#   since: 0.2.0
#   hint: name the Secret in spec.to
#   kinds:
#     - ReferenceGrant.gateway.networking.k8s.io
package meshknot.open_secret_grant

import data.lib.meshknot as lib
import data.lib.route

violation contains {"msg": msg, "field": field} if {
	lib.is_a(route.group, "ReferenceGrant")
	some i, to in lib.spec.to
	to.kind == "Secret"
	object.get(to, "name", "") == ""
	field := sprintf("spec.to[%d]", [i])
	msg := sprintf("namespace %s opens every Secret to namespace %s", [
		lib.namespace,
		concat(", ", {from.namespace | some from in lib.spec.from}),
	])
}
