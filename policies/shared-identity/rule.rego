# METADATA
# title: An account stands for few Services
# description: >-
#   The account that a TrafficTarget grants is that of the pods behind more
#   Services than the parameter services allows, so the grant opens all of them,
#   and a caller of one is a caller of all. Services that are backends of a
#   TrafficSplit are versions of another one and do not count.
# custom:
#   code: MKR017
#   severity: warning
#   since: 0.2.0
#   hint: give the workloads accounts of their own
#   kinds:
#     - TrafficTarget.access.smi-spec.io
#   parameters:
#     services:
#       type: number
#       default: 3
#       description: the number of Services that may share an account
package meshknot.shared_identity

import data.lib.inventory
import data.lib.meshknot as lib

violation contains {"msg": msg, "field": field} if {
	lib.is_a("access.smi-spec.io", "TrafficTarget")
	account := inventory.owner(lib.spec.destination, lib.namespace)
	names := inventory.in_front(account.namespace, account.name) - inventory.variants(account.namespace)
	count(names) > lib.parameter("services", 3)
	field := lib.field("destination.name")
	msg := sprintf("account %s is that of %d Services: %s", [account.name, count(names), concat(", ", names)])
}
