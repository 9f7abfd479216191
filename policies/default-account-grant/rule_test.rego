package meshknot.default_account_grant_test

import data.meshknot.default_account_grant

account(name) := {"kind": "ServiceAccount", "name": name, "namespace": "shop"}

target(destination, source) := {
	"apiVersion": "access.smi-spec.io/v1alpha3",
	"kind": "TrafficTarget",
	"metadata": {"name": "reviews", "namespace": "shop"},
	"spec": {"destination": destination, "sources": [account("web"), source]},
}

fields(object) := {found.field | some found in default_account_grant.violation with input as object}

test_source if fields(target(account("reviews"), account("default"))) == {"spec.sources[1].name"}

test_destination if fields(target(account("default"), account("batch"))) == {"spec.destination.name"}

test_both if {
	fields(target(account("default"), account("default"))) == {"spec.destination.name", "spec.sources[1].name"}
}

test_own_accounts if fields(target(account("reviews"), account("default-backend"))) == set()

test_binding_of_that_name if {
	fields(target(account("reviews"), {"kind": "IdentityBinding", "name": "default"})) == set()
}

test_other_kinds_are_left_alone if {
	every other in [{"kind": "Target"}, {"apiVersion": "example.com/v1"}] {
		fields(object.union(target(account("default"), account("default")), other)) == set()
	}
}

test_gatekeeper_form if {
	fields({"review": {"object": target(account("default"), account("batch"))}}) == {"spec.destination.name"}
}

test_oldest_version if {
	fields({
		"apiVersion": "access.smi-spec.io/v1alpha1",
		"kind": "TrafficTarget",
		"destination": account("reviews"),
		"sources": [account("default")],
	}) == {"sources[0].name"}
}
