package meshknot.split_unguarded_backend_test

import data.meshknot.split_unguarded_backend

split(weight) := {
	"apiVersion": "split.smi-spec.io/v1alpha4",
	"kind": "TrafficSplit",
	"metadata": {"name": "reviews", "namespace": "shop"},
	"spec": {"service": "reviews", "backends": [
		{"service": "reviews-v1", "weight": 90},
		{"service": "reviews-v2", "weight": weight},
	]},
}

service(version) := {"spec": {"selector": {"app": "reviews", "version": version}}}

template(version, account) := {
	"metadata": {"labels": {"app": "reviews", "version": version, "tier": "back"}},
	"spec": {"serviceAccountName": account},
}

target(account) := {"spec": {"destination": {"kind": "ServiceAccount", "name": account, "namespace": "shop"}}}

# Version 1 runs as a Deployment with account reviews, version 2 as one with the
# account given.
inventory(account, targets) := {"namespace": {"shop": {
	"v1": {"Service": {"reviews-v1": service("v1"), "reviews-v2": service("v2")}},
	"apps/v1": {"Deployment": {
		"reviews-v1": {"spec": {"template": template("v1", "reviews")}},
		"reviews-v2": {"spec": {"template": template("v2", account)}},
	}},
	"access.smi-spec.io/v1alpha3": {"TrafficTarget": {name: target(name) | some name in targets}},
}}}

test_one_account_is_guarded if {
	some found in split_unguarded_backend.violation with input as split(10)
		with data.inventory as inventory("reviews-canary", {"reviews"})
	found.field == "spec.backends[1].service"
	found.details.account == "reviews-canary"
}

test_both_are_guarded if {
	count(split_unguarded_backend.violation) == 0 with input as split(10)
		with data.inventory as inventory("reviews-canary", {"reviews", "reviews-canary"})
}

test_none_is_guarded if {
	count(split_unguarded_backend.violation) == 0 with input as split(10)
		with data.inventory as inventory("reviews-canary", set())
}

test_one_account_for_both if {
	count(split_unguarded_backend.violation) == 0 with input as split(10)
		with data.inventory as inventory("reviews", {"reviews"})
}

test_no_traffic_to_the_unguarded_one if {
	count(split_unguarded_backend.violation) == 0 with input as split(0)
		with data.inventory as inventory("reviews-canary", {"reviews"})
}

test_target_in_another_namespace_for_this_one if {
	shop := inventory("reviews-canary", {"reviews"})
	ops := {"namespace": {"ops": {"access.smi-spec.io/v1alpha2": {"TrafficTarget": {"t": target("reviews-canary")}}}}}
	count(split_unguarded_backend.violation) == 0 with input as split(10)
		with data.inventory as object.union(shop, ops)
}

test_account_of_that_name_in_another_namespace if {
	shop := inventory("reviews-canary", {"reviews"})
	other := {"destination": {"name": "reviews-canary"}}
	ops := {"namespace": {"ops": {"access.smi-spec.io/v1alpha1": {"TrafficTarget": {"t": other}}}}}
	count(split_unguarded_backend.violation) == 1 with input as split(10)
		with data.inventory as object.union(shop, ops)
}

test_bare_pods_and_the_default_account if {
	pod := {"metadata": {"labels": {"app": "reviews", "version": "v2"}}, "spec": {}}
	shop := inventory("reviews", {"reviews"})
	pods := {"namespace": {"shop": {"v1": {"Pod": {"reviews-v2-0": pod}}}}}
	some found in split_unguarded_backend.violation with input as split(10)
		with data.inventory as object.union(shop, pods)
	found.details.account == "default"
}

test_service_without_a_selector if {
	patch := {"op": "replace", "path": "/namespace/shop/v1/Service/reviews-v2/spec/selector", "value": {}}
	count(split_unguarded_backend.violation) == 0 with input as split(10)
		with data.inventory as json.patch(inventory("reviews-canary", {"reviews"}), [patch])
}

test_what_is_left_of_an_old_rollout if {
	old := {"spec": {"template": template("v2", "reviews-old")}}
	shop := inventory("reviews", {"reviews"})
	count(split_unguarded_backend.violation) == 0 with input as split(10)
		with data.inventory as object.union(shop, {"namespace": {"shop": {"apps/v1": {"ReplicaSet": {"old": old}}}}})
}

test_every_kind_of_workload if {
	every kind in ["Deployment", "StatefulSet", "DaemonSet"] {
		canary := {"spec": {"template": template("v2", "reviews-canary")}}
		shop := inventory("reviews", {"reviews"})
		count(split_unguarded_backend.violation) == 1 with input as split(10)
			with data.inventory as object.union(shop, {"namespace": {"shop": {"apps/v1": {kind: {"canary": canary}}}}})
	}
}

test_target_of_another_group if {
	shop := inventory("reviews-canary", {"reviews"})
	other := {"namespace": {"shop": {"example.com/v1": {"TrafficTarget": {"t": target("reviews-canary")}}}}}
	count(split_unguarded_backend.violation) == 1 with input as split(10)
		with data.inventory as object.union(shop, other)
}

test_other_kinds_are_left_alone if {
	every other in [{"kind": "Split"}, {"apiVersion": "example.com/v1"}] {
		count(split_unguarded_backend.violation) == 0 with input as object.union(split(10), other)
			with data.inventory as inventory("reviews-canary", {"reviews"})
	}
}

test_nothing_is_known if count(split_unguarded_backend.violation) == 0 with input as split(10)

test_gatekeeper_form if {
	some found in split_unguarded_backend.violation with input as {"review": {"object": split(10)}}
		with data.inventory as inventory("reviews-canary", {"reviews"})
	found.field == "spec.backends[1].service"
}
