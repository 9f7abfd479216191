package meshknot.unknown_backend_test

import data.meshknot.unknown_backend

fields(object, inventory) := {found.field |
	some found in unknown_backend.violation with input as object with data.inventory as inventory
}

split(name) := {
	"apiVersion": "split.smi-spec.io/v1alpha4", "kind": "TrafficSplit",
	"metadata": {"name": "s", "namespace": "shop"},
	"spec": {"service": "a", "backends": [{"service": "a", "weight": 1}, {"service": name, "weight": 1}]},
}

route(ref) := {
	"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
	"metadata": {"name": "r", "namespace": "shop"},
	"spec": {"rules": [{"backendRefs": [{"name": "a"}, ref]}]},
}

services(names) := {"v1": {"Service": {name: {"metadata": {"name": name}} | some name in names}}}

shop := {"namespace": {"shop": services({"a", "b"}), "far": services({"c"})}}

test_split_to_nothing if {
	fields(split("c"), shop) == {"spec.backends[1].service"}
	some found in unknown_backend.violation with input as split("c") with data.inventory as shop
	found.msg == "there is no Service c in namespace shop"
}

test_split_to_what_is_there if {
	every name in ["b", "b.shop", "b.shop.svc.cluster.local"] {
		fields(split(name), shop) == set()
	}
}

test_route_to_nothing if {
	fields(route({"name": "c"}), shop) == {"spec.rules[0].backendRefs[1].name"}
	some found in unknown_backend.violation with input as route({"name": "c"}) with data.inventory as shop
	found.msg == "there is no Service c in namespace shop"
}

test_route_to_another_namespace if {
	fields(route({"name": "c", "namespace": "far"}), shop) == set()
	fields(route({"name": "b", "namespace": "far"}), shop) == {"spec.rules[0].backendRefs[1].name"}
}

test_route_to_what_is_no_service if {
	fields(route({"name": "c", "kind": "ServiceImport", "group": "multicluster.x-k8s.io"}), shop) == set()
	fields(route({"name": "c", "kind": "Bucket"}), shop) == set()
	fields(route({"name": "c", "group": "example.com"}), shop) == set()
}

test_services_of_the_namespace_are_not_given if {
	fields(split("c"), {"namespace": {"far": services({"c"})}}) == set()
	fields(route({"name": "c", "namespace": "other"}), shop) == set()
}

test_old_version_of_split if {
	quantities := object.union(split("c"), {"apiVersion": "split.smi-spec.io/v1alpha1"})
	fields(quantities, shop) == {"spec.backends[1].service"}
}

test_other_kinds_are_left_alone if {
	every other in [{"kind": "Split"}, {"apiVersion": "example.com/v1"}] {
		fields(object.union(split("c"), other), shop) == set()
		fields(object.union(route({"name": "c"}), other), shop) == set()
	}
}

test_gatekeeper_form if fields({"review": {"object": split("c")}}, shop) == {"spec.backends[1].service"}
