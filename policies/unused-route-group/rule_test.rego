package meshknot.unused_route_group_test

import data.meshknot.unused_route_group

fields(object, inventory) := {found.field |
	some found in unused_route_group.violation with input as object with data.inventory as inventory
}

thing(kind) := {
	"apiVersion": "specs.smi-spec.io/v1alpha4", "kind": kind,
	"metadata": {"name": "reviews", "namespace": "shop"}, "spec": {},
}

uses(version, kind, object) := {"namespace": {"shop": {version: {kind: {"o": object}}}}}

target(reference) := uses("access.smi-spec.io/v1alpha3", "TrafficTarget", {"spec": {"rules": [reference]}})

split(reference) := uses("split.smi-spec.io/v1alpha4", "TrafficSplit", {"spec": {"matches": [reference]}})

test_every_kind if {
	every kind in ["HTTPRouteGroup", "TCPRoute", "UDPRoute"] {
		fields(thing(kind), target({"kind": kind, "name": "other"})) == {"metadata.name"}
		fields(thing(kind), target({"kind": kind, "name": "reviews"})) == set()
	}
	some found in unused_route_group.violation with input as thing("TCPRoute") with data.inventory as target({"kind": "HTTPRouteGroup", "name": "reviews"})
	found.msg == "no TrafficTarget and no TrafficSplit names this TCPRoute"
}

test_split if {
	fields(thing("HTTPRouteGroup"), split({"kind": "HTTPRouteGroup", "name": "other"})) == {"metadata.name"}
	fields(thing("HTTPRouteGroup"), split({"kind": "HTTPRouteGroup", "name": "reviews"})) == set()
}

test_only_references_count if {
	odd := {"spec": {"rules": [], "sources": [{"kind": "TCPRoute", "name": "reviews"}]}}
	fields(thing("TCPRoute"), uses("access.smi-spec.io/v1alpha3", "TrafficTarget", odd)) == {"metadata.name"}
}

test_oldest_version if {
	reference := {"kind": "HTTPRouteGroup", "name": "reviews"}
	fields(thing("HTTPRouteGroup"), uses("access.smi-spec.io/v1alpha1", "TrafficTarget", {"specs": [reference]})) == set()
}

test_no_policy_is_given if fields(thing("TCPRoute"), {}) == set()

test_other_kinds_are_left_alone if {
	every other in [{"kind": "Group"}, {"apiVersion": "example.com/v1"}] {
		fields(object.union(thing("TCPRoute"), other), target({"kind": "TCPRoute", "name": "other"})) == set()
	}
}

test_gatekeeper_form if {
	fields({"review": {"object": thing("TCPRoute")}}, target({"kind": "TCPRoute", "name": "other"})) == {"metadata.name"}
}
