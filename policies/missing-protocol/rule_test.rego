package meshknot.missing_protocol_test

import data.meshknot.missing_protocol

fields(object, inventory) := {found.field |
	some found in missing_protocol.violation with input as object with data.inventory as inventory
}

service(port) := {
	"apiVersion": "v1", "kind": "Service",
	"metadata": {"name": "reviews", "namespace": "shop"},
	"spec": {"selector": {"app": "reviews"}, "ports": [{"name": "http", "port": 80}, port]},
}

silent := service({"port": 8080})

split(root, backend) := {"namespace": {"shop": {"split.smi-spec.io/v1alpha4": {"TrafficSplit": {"s": {"spec": {
	"service": root,
	"backends": [{"service": backend, "weight": 1}],
}}}}}}}

concerned := split("reviews", "reviews-v1")

test_nothing_said if {
	every port in [{"port": 8080}, {"port": 8080, "name": "web"}, {"port": 8080, "name": "my-http"}, {"port": 8080, "protocol": "TCP"}] {
		fields(service(port), concerned) == {"spec.ports[1]"}
	}
	some found in missing_protocol.violation with input as silent with data.inventory as concerned
	found.msg == "port 8080 does not say its protocol"
}

test_said if {
	every port in [{"name": "http"}, {"name": "grpc-api"}, {"name": "tcp-own"}, {"appProtocol": "acme.io/own"}, {"protocol": "UDP"}] {
		fields(service(object.union({"port": 8080}, port)), concerned) == set()
	}
}

test_split if {
	fields(silent, split("r", "reviews.shop")) == {"spec.ports[1]"}
	fields(silent, split("reviews.shop.svc", "r")) == {"spec.ports[1]"}
	fields(silent, split("r", "s")) == set()
}

route(version, kind, spec) := {"namespace": {"shop": {version: {kind: {"r": {"spec": spec}}}}}}

test_route if {
	every kind in ["HTTPRoute", "TCPRoute"] {
		backend := {"rules": [{"backendRefs": [{"name": "reviews"}]}]}
		fields(silent, route("gateway.networking.k8s.io/v1", kind, backend)) == {"spec.ports[1]"}
		parent := {"parentRefs": [{"group": "", "kind": "Service", "name": "reviews"}]}
		fields(silent, route("gateway.networking.k8s.io/v1", kind, parent)) == {"spec.ports[1]"}
	}
	far := {"rules": [{"backendRefs": [{"name": "reviews", "namespace": "far"}]}]}
	fields(silent, route("gateway.networking.k8s.io/v1", "HTTPRoute", far)) == set()
	gateway := {"parentRefs": [{"name": "reviews"}, {"kind": "Service", "name": "reviews"}]}
	fields(silent, route("gateway.networking.k8s.io/v1", "HTTPRoute", gateway)) == set()
}

guarded(account) := {"namespace": {"shop": {
	"v1": {"Service": {"reviews": silent}, "Pod": {"p": {"metadata": {"labels": {"app": "reviews"}}, "spec": {"serviceAccountName": "r"}}}},
	"access.smi-spec.io/v1alpha3": {"TrafficTarget": {"t": {"spec": {"destination": {"name": account}}}}},
}}}

test_target if {
	fields(silent, guarded("r")) == {"spec.ports[1]"}
	fields(silent, guarded("q")) == set()
}

test_no_policy if fields(silent, {}) == set()

test_other_kinds_are_left_alone if {
	every other in [{"kind": "Servant"}, {"apiVersion": "serving.knative.dev/v1"}] {
		fields(object.union(silent, other), concerned) == set()
	}
}

test_gatekeeper_form if fields({"review": {"object": silent}}, concerned) == {"spec.ports[1]"}
