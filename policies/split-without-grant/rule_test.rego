package meshknot.split_without_grant_test

import data.meshknot.split_without_grant

fields(object, inventory) := {found.field |
	some found in split_without_grant.violation with input as object with data.inventory as inventory
}

split(weight) := {
	"apiVersion": "split.smi-spec.io/v1alpha4", "kind": "TrafficSplit",
	"metadata": {"name": "r", "namespace": "shop"},
	"spec": {"service": "r", "backends": [{"service": "r-v1", "weight": 1}, {"service": "r-v2.shop", "weight": weight}]},
}

strict(object) := {"review": {"object": object}, "parameters": {"strict": true}}

service(version) := {"spec": {"selector": {"version": version}}}

pod(version) := {"metadata": {"labels": {"version": version}}, "spec": {"serviceAccountName": version}}

guarding(accounts) := {"namespace": {"shop": {
	"v1": {"Service": {"r-v1": service("v1"), "r-v2": service("v2")}, "Pod": {"one": pod("v1"), "two": pod("v2")}},
	"access.smi-spec.io/v1alpha3": {"TrafficTarget": {name: {"spec": {"destination": {"name": name}}} | some name in accounts}},
}}}

test_one_is_not_granted if {
	fields(strict(split(1)), guarding({"v1"})) == {"spec.backends[1].service"}
	some found in split_without_grant.violation with input as strict(split(1)) with data.inventory as guarding({"v1"})
	found.msg == "no TrafficTarget grants account v2 behind r-v2.shop to anybody"
}

test_none_is_granted if count(fields(strict(split(1)), guarding(set()))) == 2

test_both_are_granted if fields(strict(split(1)), guarding({"v1", "v2"})) == set()

test_no_traffic if fields(strict(split(0)), guarding({"v1"})) == set()

test_nothing_is_asked_unless_strict if {
	fields(split(1), guarding({"v1"})) == set()
	fields({"review": {"object": split(1)}, "parameters": {}}, guarding({"v1"})) == set()
	fields({"review": {"object": split(1)}, "parameters": {"strict": false}}, guarding({"v1"})) == set()
}

test_an_object_cannot_set_parameters if {
	fields(object.union(split(1), {"parameters": {"strict": true}}), guarding({"v1"})) == set()
}

test_other_kinds_are_left_alone if {
	every other in [{"kind": "Split"}, {"apiVersion": "example.com/v1"}] {
		fields(strict(object.union(split(1), other)), guarding({"v1"})) == set()
	}
}
