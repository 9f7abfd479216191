package meshknot.route_weights_zero_test

import data.meshknot.route_weights_zero

fields(object) := {found.field | some found in route_weights_zero.violation with input as object}

route(refs) := {
	"apiVersion": "gateway.networking.k8s.io/v1", "kind": "TCPRoute",
	"metadata": {"name": "r", "namespace": "shop"},
	"spec": {"rules": [{"backendRefs": [{"name": "x"}]}, {"backendRefs": refs}]},
}

test_all_zero if {
	fields(route([{"name": "a", "weight": 0}, {"name": "b", "weight": 0}])) == {"spec.rules[1].backendRefs"}
	fields(route([{"name": "a", "weight": 0}])) == {"spec.rules[1].backendRefs"}
}

test_one_has_a_weight if {
	fields(route([{"name": "a", "weight": 0}, {"name": "b", "weight": 1}])) == set()
	fields(route([{"name": "a", "weight": 0}, {"name": "b"}])) == set()
}

test_no_backends if fields(route([])) == set()

test_other_kinds_are_left_alone if {
	every other in [{"kind": "Route"}, {"apiVersion": "example.com/v1"}] {
		fields(object.union(route([{"name": "a", "weight": 0}]), other)) == set()
	}
}

test_gatekeeper_form if fields({"review": {"object": route([{"name": "a", "weight": 0}])}}) == {"spec.rules[1].backendRefs"}
