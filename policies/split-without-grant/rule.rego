# METADATA
# title: The backends of a split are granted to somebody
# description: >-
#   Where access is denied by default (--access strict), a backend of a
#   TrafficSplit whose account no TrafficTarget guards answers nobody: its share
#   of the requests is denied. The rule asks for nothing unless its parameter
#   strict is true, which belongs beside --access strict.
# custom:
#   code: MKR013
#   severity: error
#   since: 0.2.0
#   hint: add a TrafficTarget whose destination is that account
#   kinds:
#     - TrafficSplit.split.smi-spec.io
#   parameters:
#     strict:
#       type: boolean
#       default: false
#       description: access is denied by default
package meshknot.split_without_grant

import data.lib.inventory
import data.lib.meshknot as lib

violation contains {"msg": msg, "field": field} if {
	lib.parameter("strict", false)
	lib.is_a("split.smi-spec.io", "TrafficSplit")
	some i, backend in lib.spec.backends
	lib.weight(backend) > 0
	some account in inventory.behind(lib.namespace, lib.service_name(backend.service))
	not account in inventory.guarded(lib.namespace)
	field := lib.field(sprintf("backends[%d].service", [i]))
	msg := sprintf("no TrafficTarget grants account %s behind %s to anybody", [account, backend.service])
}
