package meshknot.route_and_split_test

import data.meshknot.route_and_split

fields(object, inventory) := {found.field |
	some found in route_and_split.violation with input as object with data.inventory as inventory
}

split(name) := {
	"apiVersion": "split.smi-spec.io/v1alpha4", "kind": "TrafficSplit",
	"metadata": {"name": "s", "namespace": "shop"}, "spec": {"service": name, "backends": []},
}

routes(home, kind, parent) := {"namespace": {home: {"gateway.networking.k8s.io/v1": {kind: {"r": {
	"metadata": {"name": "r"},
	"spec": {"parentRefs": [parent]},
}}}}}}

reviews := {"group": "", "kind": "Service", "name": "reviews"}

test_one_service if {
	every kind in ["HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute"] {
		fields(split("reviews"), routes("shop", kind, reviews)) == {"spec.service"}
	}
	fields(split("reviews.shop.svc"), routes("shop", "HTTPRoute", reviews)) == {"spec.service"}
	some found in route_and_split.violation with input as split("reviews") with data.inventory as routes("shop", "HTTPRoute", reviews)
	found.msg == "HTTPRoute r of namespace shop routes Service reviews too"
}

test_route_of_a_caller if {
	far := object.union(reviews, {"namespace": "shop"})
	fields(split("reviews"), routes("web", "HTTPRoute", far)) == {"spec.service"}
	fields(split("reviews"), routes("web", "HTTPRoute", reviews)) == set()
}

test_another_service if {
	fields(split("ratings"), routes("shop", "HTTPRoute", reviews)) == set()
	fields(split("reviews"), routes("shop", "HTTPRoute", {"name": "reviews"})) == set()
}

test_datagrams_are_not_split if fields(split("reviews"), routes("shop", "UDPRoute", reviews)) == set()

test_other_kinds_are_left_alone if {
	every other in [{"kind": "Split"}, {"apiVersion": "example.com/v1"}] {
		fields(object.union(split("reviews"), other), routes("shop", "HTTPRoute", reviews)) == set()
	}
}

test_gatekeeper_form if {
	fields({"review": {"object": split("reviews")}}, routes("shop", "HTTPRoute", reviews)) == {"spec.service"}
}
