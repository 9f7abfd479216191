# METADATA
# title: A backend is a Service that is there
# description: >-
#   A TrafficSplit or route sends requests to a Service that does not exist: a
#   name is misspelt, or the Service was deleted before the policy. Its share of
#   the requests fails. Only namespaces of which Services are given are judged,
#   so policies may be checked alone.
# custom:
#   code: MKR006
#   severity: error
#   since: 0.2.0
#   hint: correct the name, or give the Service too
#   kinds:
#     - TrafficSplit.split.smi-spec.io
#     - HTTPRoute.gateway.networking.k8s.io
#     - GRPCRoute.gateway.networking.k8s.io
#     - TCPRoute.gateway.networking.k8s.io
#     - TLSRoute.gateway.networking.k8s.io
#     - UDPRoute.gateway.networking.k8s.io
package meshknot.unknown_backend

import data.lib.inventory
import data.lib.meshknot as lib
import data.lib.route

violation contains {"msg": msg, "field": field} if {
	lib.is_a("split.smi-spec.io", "TrafficSplit")
	some i, backend in lib.spec.backends
	missing(lib.namespace, lib.service_name(backend.service))
	field := lib.field(sprintf("backends[%d].service", [i]))
	msg := sprintf("there is no Service %s in namespace %s", [backend.service, lib.namespace])
}

violation contains {"msg": msg, "field": field} if {
	some backend in route.backends
	route.is_service(backend.ref)
	namespace := route.namespace(backend.ref)
	missing(namespace, backend.ref.name)
	field := sprintf("%s.name", [backend.field])
	msg := sprintf("there is no Service %s in namespace %s", [backend.ref.name, namespace])
}

missing(namespace, name) if {
	count(data.inventory.namespace[namespace].v1.Service) > 0
	not inventory.service(namespace, name)
}
