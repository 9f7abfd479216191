package meshknot.shared_identity_test

import data.meshknot.shared_identity

fields(object, inventory) := {found.field |
	some found in shared_identity.violation with input as object with data.inventory as inventory
}

target := {
	"apiVersion": "access.smi-spec.io/v1alpha3", "kind": "TrafficTarget",
	"metadata": {"name": "t", "namespace": "shop"},
	"spec": {"destination": {"kind": "ServiceAccount", "name": "media"}},
}

inventory(names, split) := {"namespace": {"shop": {
	"v1": {
		"Service": {name: {"metadata": {"name": name}, "spec": {"selector": {"team": "media"}}} | some name in names},
		"Pod": {"p": {"metadata": {"labels": {"team": "media"}}, "spec": {"serviceAccountName": "media"}}},
	},
	"split.smi-spec.io/v1alpha4": {"TrafficSplit": {"s": {"spec": split}}},
}}}

four := {"a", "b", "c", "d"}

nothing := {"service": "x", "backends": []}

test_too_many if {
	fields(target, inventory(four, nothing)) == {"spec.destination.name"}
	some found in shared_identity.violation with input as target with data.inventory as inventory(four, nothing)
	found.msg == "account media is that of 4 Services: a, b, c, d"
}

test_as_many_as_may if fields(target, inventory({"a", "b", "c"}, nothing)) == set()

test_versions_do_not_count if {
	fields(target, inventory(four, {"service": "a", "backends": [{"service": "b.shop"}]})) == set()
	fields(target, inventory(four, {"service": "a", "backends": [{"service": "a"}]})) == {"spec.destination.name"}
	fields(target, inventory(four | {"e"}, {"service": "a", "backends": [{"service": "b"}]})) == {"spec.destination.name"}
}

test_other_accounts if {
	fields(json.patch(target, [{"op": "replace", "path": "/spec/destination/name", "value": "x"}]), inventory(four, nothing)) == set()
	fields(json.patch(target, [{"op": "add", "path": "/spec/destination/namespace", "value": "far"}]), inventory(four, nothing)) == set()
}

test_parameter if {
	review := {"review": {"object": target}, "parameters": {"services": 4}}
	fields(review, inventory(four, nothing)) == set()
	fields(object.union(review, {"parameters": {"services": 1}}), inventory({"a", "b"}, nothing)) == {"spec.destination.name"}
}

test_oldest_version if {
	old := {
		"apiVersion": "access.smi-spec.io/v1alpha1", "kind": "TrafficTarget",
		"metadata": {"namespace": "shop"}, "destination": {"name": "media"},
	}
	fields(old, inventory(four, nothing)) == {"destination.name"}
}

test_other_kinds_are_left_alone if {
	every other in [{"kind": "Target"}, {"apiVersion": "example.com/v1"}] {
		fields(object.union(target, other), inventory(four, nothing)) == set()
	}
}

test_gatekeeper_form if fields({"review": {"object": target}}, inventory(four, nothing)) == {"spec.destination.name"}
