package meshknot.gateway_ungranted_backend_test

import data.meshknot.gateway_ungranted_backend

fields(object, inventory) := {found.field |
	some found in gateway_ungranted_backend.violation with input as object with data.inventory as inventory
}

route(parent, ref) := {
	"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
	"metadata": {"name": "r", "namespace": "shop"},
	"spec": {"parentRefs": [parent], "rules": [{"backendRefs": [ref]}]},
}

edge := {"name": "edge", "namespace": "infra"}

reviews := {"name": "reviews", "port": 8080}

gateway(annotations) := {"metadata": {"name": "edge", "annotations": annotations}, "spec": {"gatewayClassName": "istio"}}

inventory(annotations, destination, sources) := {"namespace": {
	"shop": {
		"v1": {
			"Service": {"reviews": {"spec": {"selector": {"app": "reviews"}}}},
			"Pod": {"p": {"metadata": {"labels": {"app": "reviews"}}, "spec": {"serviceAccountName": "reviews"}}},
		},
		"access.smi-spec.io/v1alpha3": {"TrafficTarget": {"t": {"spec": {"destination": {"name": destination}, "sources": sources}}}},
	},
	"infra": {"gateway.networking.k8s.io/v1": {"Gateway": {"edge": gateway(annotations)}}},
}}

web := [{"name": "web", "namespace": "shop"}]

place := {"spec.rules[0].backendRefs[0].name"}

test_gateway_is_not_granted if {
	fields(route(edge, reviews), inventory({}, "reviews", web)) == place
	some found in gateway_ungranted_backend.violation with input as route(edge, reviews) with data.inventory as inventory({}, "reviews", web)
	found.msg == "no TrafficTarget lets account edge-istio of namespace infra, as which the Gateway calls, reach account reviews behind reviews"
}

test_gateway_is_granted if {
	sources := array.concat(web, [{"name": "edge-istio", "namespace": "infra"}])
	fields(route(edge, reviews), inventory({}, "reviews", sources)) == set()
	fields(route(edge, reviews), inventory({}, "reviews", [{"name": "edge-istio"}])) == place
}

test_annotation_names_the_account if {
	named := {"meshknot.io/service-account": "door"}
	fields(route(edge, reviews), inventory(named, "reviews", [{"name": "door", "namespace": "infra"}])) == set()
	fields(route(edge, reviews), inventory(named, "reviews", [{"name": "edge-istio", "namespace": "infra"}])) == place
}

test_backend_is_open_to_all if fields(route(edge, reviews), inventory({}, "ratings", web)) == set()

test_another_account_is_granted if {
	granted := inventory({}, "ratings", [{"name": "edge-istio", "namespace": "infra"}])
	guarded := {"namespace": {"shop": {"access.smi-spec.io/v1alpha2": {"TrafficTarget": {"u": {"spec": {"destination": {"name": "reviews"}}}}}}}}
	fields(route(edge, reviews), object.union(granted, guarded)) == place
}

test_no_traffic if fields(route(edge, object.union(reviews, {"weight": 0})), inventory({}, "reviews", web)) == set()

test_no_gateway if {
	every parent in [
		{"group": "", "kind": "Service", "name": "edge", "namespace": "infra"},
		{"kind": "XListenerSet", "name": "edge", "namespace": "infra"}, {"name": "edge"},
		{"name": "other", "namespace": "infra"},
	] {
		fields(route(parent, reviews), inventory({}, "reviews", web)) == set()
	}
}

test_no_service if {
	fields(route(edge, object.union(reviews, {"kind": "Bucket"})), inventory({}, "reviews", web)) == set()
}

test_other_kinds_are_left_alone if {
	every other in [{"kind": "Route"}, {"apiVersion": "example.com/v1"}] {
		fields(object.union(route(edge, reviews), other), inventory({}, "reviews", web)) == set()
	}
}

test_gatekeeper_form if fields({"review": {"object": route(edge, reviews)}}, inventory({}, "reviews", web)) == place
