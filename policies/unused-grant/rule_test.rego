package meshknot.unused_grant_test

import data.meshknot.unused_grant

fields(object, inventory) := {found.field |
	some found in unused_grant.violation with input as object with data.inventory as inventory
}

target(destination, source) := {
	"apiVersion": "access.smi-spec.io/v1alpha3", "kind": "TrafficTarget",
	"metadata": {"name": "t", "namespace": "shop"},
	"spec": {"destination": destination, "sources": [account("web"), source]},
}

account(name) := {"kind": "ServiceAccount", "name": name, "namespace": "shop"}

running := {"namespace": {
	"shop": {
		"apps/v1": {"Deployment": {
			"reviews": {"spec": {"template": {"spec": {"serviceAccountName": "reviews"}}}},
			"web": {"spec": {"template": {"spec": {"serviceAccountName": "web"}}}},
			"broken": {"spec": {}},
		}},
		"batch/v1": {
			"Job": {"once": {"spec": {"template": {"spec": {"serviceAccountName": "once"}}}}},
			"CronJob": {"often": {"spec": {"jobTemplate": {"spec": {"template": {"spec": {"serviceAccountName": "often"}}}}}}},
		},
		"v1": {"Pod": {"bare": {"spec": {}}}},
	},
	"infra": {
		"gateway.networking.k8s.io/v1": {"Gateway": {
			"edge": {"metadata": {"name": "edge"}, "spec": {"gatewayClassName": "istio"}},
			"inner": {"metadata": {"name": "inner", "annotations": {"meshknot.io/service-account": "door"}}, "spec": {"gatewayClassName": "istio"}},
		}},
		"v1": {"Pod": {"p": {"spec": {"serviceAccountName": "agent"}}}},
	},
}}

test_no_such_source if {
	fields(target(account("reviews"), account("wbe")), running) == {"spec.sources[1].name"}
	some found in unused_grant.violation with input as target(account("reviews"), account("wbe")) with data.inventory as running
	found.msg == "no pod of namespace shop runs as account wbe"
}

test_no_such_destination if fields(target(account("review"), account("web")), running) == {"spec.destination.name"}

test_everybody_is_there if {
	every name in ["web", "once", "often", "default"] {
		fields(target(account("reviews"), account(name)), running) == set()
	}
}

test_namespace_is_the_own_one_unless_said if {
	fields(target({"name": "reviews"}, {"name": "wbe"}), running) == {"spec.sources[1].name"}
}

test_gateway_is_a_caller if {
	every name in ["edge-istio", "door", "agent"] {
		fields(target(account("reviews"), {"name": name, "namespace": "infra"}), running) == set()
	}
	every name in ["inner-istio", "edge"] {
		fields(target(account("reviews"), {"name": name, "namespace": "infra"}), running) == {"spec.sources[1].name"}
	}
}

test_workloads_are_not_given if fields(target(account("reviews"), {"name": "x", "namespace": "far"}), running) == set()

test_binding_is_no_account if {
	fields(target(account("reviews"), {"kind": "IdentityBinding", "name": "x"}), running) == set()
	fields(target({"kind": "IdentityBinding", "name": "x"}, account("web")), running) == set()
}

test_other_kinds_are_left_alone if {
	every other in [{"kind": "Target"}, {"apiVersion": "example.com/v1"}] {
		fields(object.union(target(account("x"), account("y")), other), running) == set()
	}
}

test_gatekeeper_form if {
	fields({"review": {"object": target(account("x"), account("web"))}}, running) == {"spec.destination.name"}
}
