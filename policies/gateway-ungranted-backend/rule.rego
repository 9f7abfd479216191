# METADATA
# title: A Gateway may call the backends of its routes
# description: >-
#   A route of a Gateway leads to a Service whose pods run as an account that a
#   TrafficTarget guards, and no TrafficTarget grants it to the Gateway's own
#   account. Every request that comes through the Gateway is denied. The account
#   of a Gateway is what its annotation meshknot.io/service-account names, else
#   the name of the Gateway, a dash and the name of its class, in its namespace.
#   Gateways, Services and workloads have to be given too.
# custom:
#   code: MKR018
#   severity: error
#   since: 0.2.0
#   hint: add the Gateway's account to the sources of a TrafficTarget
#   kinds:
#     - HTTPRoute.gateway.networking.k8s.io
#     - GRPCRoute.gateway.networking.k8s.io
#     - TCPRoute.gateway.networking.k8s.io
#     - TLSRoute.gateway.networking.k8s.io
package meshknot.gateway_ungranted_backend

import data.lib.inventory
import data.lib.meshknot as lib
import data.lib.route

violation contains {"msg": msg, "field": field} if {
	some backend in route.backends
	route.is_service(backend.ref)
	route.weight(backend.ref) > 0
	namespace := route.namespace(backend.ref)
	some account in inventory.behind(namespace, backend.ref.name)
	account in inventory.guarded(namespace)
	some caller in callers
	not caller in inventory.callers(namespace, account)
	field := sprintf("%s.name", [backend.field])
	msg := sprintf("no TrafficTarget lets account %s of namespace %s, as which the Gateway calls, reach account %s behind %s", [
		caller.name,
		caller.namespace,
		account,
		backend.ref.name,
	])
}

callers contains {"namespace": namespace, "name": inventory.gateway_account(gateway)} if {
	some parent in lib.spec.parentRefs
	route.is_gateway(parent)
	namespace := route.namespace(parent)
	gateway := inventory.gateway(namespace, parent.name)
}
