package meshknot.mirror_to_other_namespace_test

import data.meshknot.mirror_to_other_namespace

fields(object) := {found.field | some found in mirror_to_other_namespace.violation with input as object}

route(rule) := {
	"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
	"metadata": {"name": "r", "namespace": "shop"}, "spec": {"rules": [{}, rule]},
}

mirror(ref) := {"type": "RequestMirror", "requestMirror": {"backendRef": ref}}

far := mirror({"name": "recorder", "namespace": "analytics"})

place := {"spec.rules[1].filters[0].requestMirror.backendRef.namespace"}

test_another_namespace if {
	fields(route({"filters": [far]})) == place
	some found in mirror_to_other_namespace.violation with input as route({"filters": [far]})
	found.msg == "copies of requests go to recorder of namespace analytics"
}

test_of_one_backend if {
	fields(route({"backendRefs": [{"name": "a", "filters": [{"type": "X"}, far]}]})) == {
		"spec.rules[1].backendRefs[0].filters[1].requestMirror.backendRef.namespace",
	}
}

test_own_namespace if {
	fields(route({"filters": [mirror({"name": "recorder"})]})) == set()
	fields(route({"filters": [mirror({"name": "recorder", "namespace": "shop"})]})) == set()
}

test_listed if {
	review := {"review": {"object": route({"filters": [far]})}, "parameters": {"namespaces": ["ops", "analytics"]}}
	fields(review) == set()
	fields(object.union(review, {"parameters": {"namespaces": ["ops"]}})) == place
}

test_other_kinds_are_left_alone if {
	every other in [{"kind": "Route"}, {"apiVersion": "example.com/v1"}] {
		fields(object.union(route({"filters": [far]}), other)) == set()
	}
}

test_gatekeeper_form if fields({"review": {"object": route({"filters": [far]})}}) == place
