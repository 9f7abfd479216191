package meshknot.wildcard_hostname_test

import data.meshknot.wildcard_hostname

fields(object, inventory) := {found.field |
	some found in wildcard_hostname.violation with input as object with data.inventory as inventory
}

route(parent, spec) := {
	"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
	"metadata": {"name": "r", "namespace": "shop"}, "spec": object.union({"parentRefs": [parent]}, spec),
}

edge := {"name": "edge", "namespace": "infra"}

inventory(listener) := {"namespace": {"infra": {"gateway.networking.k8s.io/v1": {"Gateway": {"edge": {
	"metadata": {"name": "edge"},
	"spec": {"listeners": [{"name": "own", "port": 81}, object.union({"name": "http", "port": 80}, listener)]},
}}}}}}

from(who) := {"allowedRoutes": {"namespaces": {"from": who}}}

shared := inventory(from("All"))

wild := {"hostnames": ["a.example.com", "*.example.com"]}

test_wildcard if {
	fields(route(edge, wild), shared) == {"spec.hostnames[1]"}
	fields(route(edge, wild), inventory(from("Selector"))) == {"spec.hostnames[1]"}
	some found in wildcard_hostname.violation with input as route(edge, wild) with data.inventory as shared
	found.msg == "*.example.com takes hosts of others on shared Gateway edge"
}

test_no_hostnames if {
	fields(route(edge, {}), shared) == {"spec.parentRefs"}
	fields(route(edge, {"hostnames": []}), shared) == {"spec.parentRefs"}
	some found in wildcard_hostname.violation with input as route(edge, {}) with data.inventory as shared
	found.msg == "without hostnames the route takes every host on shared Gateway edge"
}

test_hosts_are_named if fields(route(edge, {"hostnames": ["a.example.com"]}), shared) == set()

test_gateway_is_not_shared if {
	every listener in [{}, from("Same"), from("None")] {
		fields(route(edge, wild), inventory(listener)) == set()
		fields(route(edge, {}), inventory(listener)) == set()
	}
}

test_listener_has_a_hostname if {
	fields(route(edge, {}), inventory(object.union(from("All"), {"hostname": "a.example.com"}))) == set()
	fields(route(edge, {}), inventory(object.union(from("All"), {"hostname": "*.example.com"}))) == {"spec.parentRefs"}
}

test_another_listener if {
	fields(route(object.union(edge, {"sectionName": "own"}), {}), shared) == set()
	fields(route(object.union(edge, {"port": 81}), {}), shared) == set()
	fields(route(object.union(edge, {"sectionName": "http", "port": 80}), {}), shared) == {"spec.parentRefs"}
}

test_no_gateway if {
	every parent in [{"name": "edge"}, object.union(edge, {"kind": "Service", "group": ""}), object.union(edge, {"name": "inner"})] {
		fields(route(parent, wild), shared) == set()
		fields(route(parent, {}), shared) == set()
	}
}

test_other_kinds_are_left_alone if {
	every other in [{"kind": "Route"}, {"apiVersion": "example.com/v1"}] {
		fields(object.union(route(edge, wild), other), shared) == set()
		fields(object.union(route(edge, {}), other), shared) == set()
	}
}

test_gatekeeper_form if fields({"review": {"object": route(edge, wild)}}, shared) == {"spec.hostnames[1]"}
