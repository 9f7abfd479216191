package meshknot.missing_timeout_test

import data.meshknot.missing_timeout

fields(object) := {found.field | some found in missing_timeout.violation with input as object}

route(rule) := {
	"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
	"metadata": {"name": "r", "namespace": "shop"}, "spec": {"rules": [{}, rule]},
}

rule(timeouts) := {"backendRefs": [{"name": "reviews"}], "timeouts": timeouts}

test_no_timeout if {
	every timeouts in [{}, {"request": "0s"}, {"request": "0h0m0s", "backendRequest": "0ms"}] {
		fields(route(rule(timeouts))) == {"spec.rules[1]"}
	}
	fields(route({"backendRefs": [{"name": "reviews"}]})) == {"spec.rules[1]"}
}

test_timeout if {
	every timeouts in [{"request": "10s"}, {"request": "0s", "backendRequest": "1h0m"}, {"request": "100ms"}] {
		fields(route(rule(timeouts))) == set()
	}
}

test_nothing_is_sent if {
	fields(route({})) == set()
	fields(route({"backendRefs": []})) == set()
}

test_other_kinds_are_left_alone if {
	every other in [{"kind": "GRPCRoute"}, {"apiVersion": "example.com/v1"}] {
		fields(object.union(route(rule({})), other)) == set()
	}
}

test_gatekeeper_form if fields({"review": {"object": route(rule({}))}}) == {"spec.rules[1]"}
