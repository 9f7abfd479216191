# METADATA
# title: A reference to another namespace is granted
# description: >-
#   A route of a Gateway may send requests to a Service of another namespace,
#   and a Gateway may use a certificate of another one, only where a
#   ReferenceGrant of that namespace says so. Without one the reference is
#   refused: the requests fail, the listener does not come up. Routes of the
#   mesh need no grant. The ReferenceGrants have to be given too.
# custom:
#   code: MKR007
#   severity: error
#   since: 0.2.0
#   hint: add a ReferenceGrant to the namespace that is referred to
#   kinds:
#     - HTTPRoute.gateway.networking.k8s.io
#     - GRPCRoute.gateway.networking.k8s.io
#     - TCPRoute.gateway.networking.k8s.io
#     - TLSRoute.gateway.networking.k8s.io
#     - UDPRoute.gateway.networking.k8s.io
#     - Gateway.gateway.networking.k8s.io
package meshknot.ungranted_reference

import data.lib.inventory
import data.lib.meshknot as lib
import data.lib.route

violation contains {"msg": msg, "field": field} if {
	some place, reference in references
	namespace := reference.namespace
	namespace != lib.namespace
	not granted(reference)
	field := sprintf("%s.namespace", [place])
	msg := sprintf("no ReferenceGrant of namespace %s lets a %s of namespace %s refer to %s %s", [
		namespace,
		lib.resource.kind,
		lib.namespace,
		reference.kind,
		reference.name,
	])
}

# Only where a Gateway leads in; within the mesh callers have their own rights.
references[backend.field] := object.union({"group": "", "kind": "Service"}, backend.ref) if {
	some backend in (route.backends | route.mirrors)
	some parent in lib.spec.parentRefs
	route.is_gateway(parent)
}

references[place] := object.union({"group": "", "kind": "Secret"}, ref) if {
	lib.is_a(route.group, "Gateway")
	some i, listener in lib.spec.listeners
	some j, ref in listener.tls.certificateRefs
	place := sprintf("spec.listeners[%d].tls.certificateRefs[%d]", [i, j])
}

granted(reference) if {
	some grant in inventory.objects(reference.namespace, route.group, "ReferenceGrant")
	from := {"group": route.group, "kind": lib.resource.kind, "namespace": lib.namespace}
	from in grant.spec.from
	some to in grant.spec.to
	to.group == reference.group
	to.kind == reference.kind
	object.get(to, "name", reference.name) == reference.name
}
