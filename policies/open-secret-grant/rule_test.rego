package meshknot.open_secret_grant_test

import data.meshknot.open_secret_grant

fields(object) := {found.field | some found in open_secret_grant.violation with input as object}

grant(to) := {
	"apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "ReferenceGrant",
	"metadata": {"name": "g", "namespace": "certificates"},
	"spec": {
		"from": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "shop"}],
		"to": [{"group": "", "kind": "Service"}, to],
	},
}

secrets := {"group": "", "kind": "Secret"}

test_all_secrets if {
	fields(grant(secrets)) == {"spec.to[1]"}
	fields(grant(object.union(secrets, {"name": ""}))) == {"spec.to[1]"}
	some found in open_secret_grant.violation with input as grant(secrets)
	found.msg == "namespace certificates opens every Secret to namespace shop"
}

test_one_secret if fields(grant(object.union(secrets, {"name": "shop"}))) == set()

test_services if fields(grant({"group": "", "kind": "Service"})) == set()

test_other_kinds_are_left_alone if {
	every other in [{"kind": "Grant"}, {"apiVersion": "example.com/v1"}] {
		fields(object.union(grant(secrets), other)) == set()
	}
}

test_gatekeeper_form if fields({"review": {"object": grant(secrets)}}) == {"spec.to[1]"}
