package meshknot.ungranted_reference_test

import data.meshknot.ungranted_reference

fields(object, inventory) := {found.field |
	some found in ungranted_reference.violation with input as object with data.inventory as inventory
}

route(parent, ref) := {
	"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
	"metadata": {"name": "r", "namespace": "shop"},
	"spec": {"parentRefs": [parent], "rules": [{"backendRefs": [ref]}]},
}

edge := {"name": "edge"}

far := {"name": "reviews", "namespace": "far"}

far_field := {"spec.rules[0].backendRefs[0].namespace"}

from := {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "shop"}

services := {"group": "", "kind": "Service"}

grants(namespace, source, to) := {"namespace": {namespace: {"gateway.networking.k8s.io/v1beta1": {"ReferenceGrant": {"g": {"spec": {
	"from": [source], "to": [to],
}}}}}}}

test_nothing_is_granted if {
	fields(route(edge, far), {}) == far_field
	some found in ungranted_reference.violation with input as route(edge, far)
	found.msg == "no ReferenceGrant of namespace far lets a HTTPRoute of namespace shop refer to Service reviews"
}

test_own_namespace if {
	fields(route(edge, {"name": "reviews"}), {}) == set()
	fields(route(edge, {"name": "reviews", "namespace": "shop"}), {}) == set()
}

test_granted if {
	fields(route(edge, far), grants("far", from, services)) == set()
	fields(route(edge, far), grants("far", from, object.union(services, {"name": "reviews"}))) == set()
}

test_granted_otherwise if {
	every wrong in [{"group": "example.com"}, {"kind": "GRPCRoute"}, {"namespace": "other"}] {
		fields(route(edge, far), grants("far", object.union(from, wrong), services)) == far_field
	}
	every wrong in [{"group": "example.com"}, {"kind": "Secret"}, {"name": "ratings"}] {
		fields(route(edge, far), grants("far", from, object.union(services, wrong))) == far_field
	}
	fields(route(edge, far), grants("other", from, services)) == far_field
}

test_route_of_the_mesh_needs_no_grant if {
	fields(route({"group": "", "kind": "Service", "name": "web"}, far), {}) == set()
}

test_mirror if {
	mirror := {"type": "RequestMirror", "requestMirror": {"backendRef": far}}
	rule := {"filters": [mirror], "backendRefs": [{"name": "reviews", "filters": [mirror]}]}
	fields(object.union(route(edge, far), {"spec": {"rules": [rule]}}), {}) == {
		"spec.rules[0].filters[0].requestMirror.backendRef.namespace",
		"spec.rules[0].backendRefs[0].filters[0].requestMirror.backendRef.namespace",
	}
}

gateway := {
	"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
	"metadata": {"name": "edge", "namespace": "shop"},
	"spec": {"listeners": [{"name": "plain"}, {"tls": {"certificateRefs": [{"name": "c"}, {"name": "c", "namespace": "far"}]}}]},
}

secrets := {"group": "", "kind": "Secret"}

test_certificate if {
	fields(gateway, {}) == {"spec.listeners[1].tls.certificateRefs[1].namespace"}
	fields(gateway, grants("far", object.union(from, {"kind": "Gateway"}), secrets)) == set()
	fields(gateway, grants("far", object.union(from, {"kind": "Gateway"}), services)) != set()
}

test_other_kinds_are_left_alone if {
	every other in [{"kind": "Route"}, {"apiVersion": "example.com/v1"}] {
		fields(object.union(route(edge, far), other), {}) == set()
		fields(object.union(gateway, other), {}) == set()
	}
}

test_gatekeeper_form if fields({"review": {"object": route(edge, far)}}, {}) == far_field
