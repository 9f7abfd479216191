# METADATA
# title: One kind of policy routes a Service
# description: >-
#   A TrafficSplit and a route of the Gateway API are attached to the same
#   Service. They are never merged: the route wins and the split does nothing,
#   though both look as if they were in force.
# custom:
#   code: MKR019
#   severity: warning
#   since: 0.2.0
#   hint: move the weights of the split into the route, or remove one of them
#   kinds:
#     - TrafficSplit.split.smi-spec.io
package meshknot.route_and_split

import data.lib.meshknot as lib
import data.lib.route

violation contains {"msg": msg, "field": field} if {
	lib.is_a("split.smi-spec.io", "TrafficSplit")
	root := lib.service_name(lib.spec.service)
	some [service, kind, home, name] in route.routed(lib.namespace)
	service == root
	field := lib.field("service")
	msg := sprintf("%s %s of namespace %s routes Service %s too", [kind, name, home, root])
}
