package meshknot.weight_jump_test

import data.meshknot.weight_jump

fields(object, old, parameters) := {found.field |
	some found in weight_jump.violation with input as {"review": {"object": object, "oldObject": old}, "parameters": parameters}
}

split(one, two) := {
	"apiVersion": "split.smi-spec.io/v1alpha4", "kind": "TrafficSplit",
	"metadata": {"name": "r", "namespace": "shop"},
	"spec": {"service": "r", "backends": [{"service": "r-v1", "weight": one}, {"service": "r-v2", "weight": two}]},
}

jump := {"spec.backends[1].weight"}

test_split if {
	fields(split(60, 40), split(90, 10), {}) == jump
	fields(split(2, 1), split(98, 2), {}) == jump
	some found in weight_jump.violation with input as {"review": {"object": split(60, 40), "oldObject": split(90, 10)}}
	found.msg == "r-v2 grows by 30 percentage points, from 10 to 40; 25 are allowed"
}

test_split_in_steps if {
	fields(split(65, 35), split(90, 10), {}) == set()
	fields(split(900, 100), split(90, 10), {}) == set()
}

test_new_backend if {
	old := object.union(split(1, 1), {"spec": {"backends": [{"service": "r-v1", "weight": 1}]}})
	fields(split(50, 50), old, {}) == jump
}

test_parameter if {
	fields(split(60, 40), split(90, 10), {"points": 30}) == set()
	fields(split(89, 11), split(90, 10), {"points": 0.5}) == jump
}

test_nothing_to_compare if {
	count(weight_jump.violation) == 0 with input as split(60, 40)
	count(weight_jump.violation) == 0 with input as {"review": {"object": split(60, 40)}}
	fields(split(60, 40), split(0, 0), {}) == set()
}

test_oldest_version if {
	old := {
		"apiVersion": "split.smi-spec.io/v1alpha1", "kind": "TrafficSplit",
		"backends": [{"service": "r-v1", "weight": "900m"}, {"service": "r-v2", "weight": "100m"}],
	}
	fields(split(60, 40), old, {}) == jump
}

route(matches, refs) := {
	"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
	"metadata": {"name": "r", "namespace": "shop"},
	"spec": {"rules": [{"matches": [{"method": "GET"}], "backendRefs": [{"name": "x"}]}, {"matches": matches, "backendRefs": refs}]},
}

refs(one, two) := [{"name": "a", "port": 80, "weight": one}, {"name": "a", "port": 81, "weight": two}]

test_route if {
	fields(route([], refs(60, 40)), route([], refs(90, 10)), {}) == {"spec.rules[1].backendRefs[1].weight"}
	fields(route([], refs(65, 35)), route([], refs(90, 10)), {}) == set()
	review := {"review": {"object": route([], refs(60, 40)), "oldObject": route([], refs(90, 10))}}
	some found in weight_jump.violation with input as review
	found.msg == "a grows by 30 percentage points, from 10 to 40; 25 are allowed"
}

test_route_with_another_condition if {
	fields(route([{"method": "PUT"}], refs(10, 90)), route([], refs(90, 10)), {}) == set()
}

test_default_weight if {
	fields(route([], [{"name": "a"}, {"name": "b"}]), route([], [{"name": "a", "weight": 3}, {"name": "b"}]), {}) == set()
	fields(route([], [{"name": "a"}, {"name": "b"}]), route([], [{"name": "a", "weight": 4}, {"name": "b"}]), {}) == {"spec.rules[1].backendRefs[1].weight"}
}

test_other_kinds_are_left_alone if {
	every other in [{"kind": "Split"}, {"apiVersion": "example.com/v1"}] {
		fields(object.union(split(60, 40), other), split(90, 10), {}) == set()
		fields(object.union(route([], refs(60, 40)), other), route([], refs(90, 10)), {}) == set()
	}
}
