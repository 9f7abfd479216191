# Routes of the Gateway API: where they are attached and where they lead.
package lib.route

import data.lib.inventory
import data.lib.meshknot as lib

group := "gateway.networking.k8s.io"

kinds := {"HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "UDPRoute"}

is_route if {
	lib.resource.kind in kinds
	lib.is_a(group, lib.resource.kind)
}

# The references to backends that take requests, with their place.
backends contains {"field": field, "rule": i, "ref": ref} if {
	is_route
	some i, rule in lib.spec.rules
	some j, ref in rule.backendRefs
	field := sprintf("spec.rules[%d].backendRefs[%d]", [i, j])
}

# Those that get copies, which a rule or one backend of it may name.
mirrors contains {"field": field, "ref": filter.requestMirror.backendRef} if {
	is_route
	some i, rule in lib.spec.rules
	some k, filter in rule.filters
	field := sprintf("spec.rules[%d].filters[%d].requestMirror.backendRef", [i, k])
}

mirrors contains {"field": field, "ref": filter.requestMirror.backendRef} if {
	is_route
	some i, rule in lib.spec.rules
	some j, ref in rule.backendRefs
	some k, filter in ref.filters
	field := sprintf("spec.rules[%d].backendRefs[%d].filters[%d].requestMirror.backendRef", [i, j, k])
}

# The namespace of what is referred to: the route's own unless said.
namespace(ref) := object.get(ref, "namespace", lib.namespace)

is_service(ref) if {
	object.get(ref, "group", "") == ""
	object.get(ref, "kind", "Service") == "Service"
}

is_gateway(ref) if {
	object.get(ref, "group", group) == group
	object.get(ref, "kind", "Gateway") == "Gateway"
}

# The Services that a route of the mesh is attached to.
services(route, home) := {{"namespace": object.get(ref, "namespace", home), "name": ref.name} |
	some ref in route.spec.parentRefs
	object.get(ref, "group", group) == ""
	object.get(ref, "kind", "Gateway") == "Service"
}

# The Services that routes of a namespace are attached to, each with the route.
attached(home, kind) := {[service, found.metadata.name] |
	some found in inventory.objects(home, group, kind)
	some service in services(found, home)
}

# The routes of the mesh that share requests to Services of a namespace between
# backends, wherever they are: Service, kind, namespace and name.
routed(namespace) := {[service.name, kind, home, name] |
	some kind in ["HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute"]
	some home, _ in data.inventory.namespace
	some [service, name] in attached(home, kind)
	service.namespace == namespace
}

weight(ref) := object.get(ref, "weight", 1)
