# METADATA
# title: A route of a shared Gateway names its hosts
# description: >-
#   The route is attached to a listener that takes routes of other namespaces
#   too, and it takes a wildcard hostname, or none, which is every hostname. It
#   catches requests for hosts that other teams have not claimed yet, or that
#   they misspelt. A listener with a hostname of its own narrows its routes to
#   that, and one that takes routes of its own namespace only is not shared.
# custom:
#   code: MKR020
#   severity: warning
#   since: 0.2.0
#   hint: list the hostnames of the route
#   kinds:
#     - HTTPRoute.gateway.networking.k8s.io
#     - GRPCRoute.gateway.networking.k8s.io
#     - TLSRoute.gateway.networking.k8s.io
package meshknot.wildcard_hostname

import data.lib.inventory
import data.lib.meshknot as lib
import data.lib.route

violation contains {"msg": msg, "field": sprintf("spec.hostnames[%d]", [i])} if {
	shared != set()
	some i, hostname in lib.spec.hostnames
	wild(hostname)
	msg := sprintf("%s takes hosts of others on shared Gateway %s", [hostname, concat(", ", shared)])
}

violation contains {"msg": msg, "field": "spec.parentRefs"} if {
	shared != set()
	count(object.get(lib.spec, "hostnames", [])) == 0
	msg := sprintf("without hostnames the route takes every host on shared Gateway %s", [concat(", ", shared)])
}

# The Gateways on which the route meets those of other namespaces.
shared contains parent.name if {
	route.is_route
	some parent in lib.spec.parentRefs
	route.is_gateway(parent)
	some listener in inventory.gateway(route.namespace(parent), parent.name).spec.listeners
	object.get(parent, "sectionName", listener.name) == listener.name
	object.get(parent, "port", listener.port) == listener.port
	object.get(listener, ["allowedRoutes", "namespaces", "from"], "Same") in {"All", "Selector"}
	wild(object.get(listener, "hostname", "*"))
}

wild(hostname) if startswith(hostname, "*")
