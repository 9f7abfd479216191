package meshknot.production_mtls_test

import data.meshknot.production_mtls

fields(object, inventory) := {found.field |
	some found in production_mtls.violation with input as object with data.inventory as inventory
}

namespace(labels, annotations) := {
	"apiVersion": "v1", "kind": "Namespace",
	"metadata": {"name": "shop", "labels": labels, "annotations": annotations},
}

production := {"environment": "production"}

mode(text) := {"spec": {"mtls": {"mode": text}}}

istio(policies) := {"cluster": {"v1": {"Namespace": {"shop": namespace(production, {})}}}, "namespace": {home: {"security.istio.io/v1": {"PeerAuthentication": found}} |
	some home, found in policies
}}

here := {"metadata.labels.environment"}

test_nothing_demands_it if {
	fields(namespace(production, {}), {}) == here
	some found in production_mtls.violation with input as namespace(production, {})
	found.msg == "nothing demands mutual TLS in production namespace shop"
}

test_not_production if {
	fields(namespace({"environment": "staging"}, {}), {}) == set()
	fields(namespace({}, {}), {}) == set()
}

test_strict_in_the_namespace if {
	fields(namespace(production, {}), istio({"shop": {"a": mode("STRICT")}})) == set()
	fields(namespace(production, {}), istio({"shop": {"a": mode("PERMISSIVE")}})) == here
	fields(namespace(production, {}), istio({"other": {"a": mode("STRICT")}})) == here
}

test_strict_for_some_workloads if {
	some_workloads := object.union(mode("STRICT"), {"spec": {"selector": {"matchLabels": {"a": "b"}}}})
	fields(namespace(production, {}), istio({"shop": {"a": some_workloads}})) == here
	all_workloads := object.union(mode("STRICT"), {"spec": {"selector": {}}})
	fields(namespace(production, {}), istio({"shop": {"a": all_workloads}})) == set()
}

test_strict_in_the_root_namespace if {
	root := {"istio-system": {"a": mode("STRICT")}}
	fields(namespace(production, {}), istio(root)) == set()
	fields(namespace(production, {}), istio(object.union(root, {"shop": {"a": mode("UNSET")}}))) == set()
	fields(namespace(production, {}), istio(object.union(root, {"shop": {"a": {"spec": {}}}}))) == set()
	fields(namespace(production, {}), istio(object.union(root, {"shop": {"a": mode("DISABLE")}}))) == here
}

test_linkerd if {
	every policy in ["all-authenticated", "cluster-authenticated", "deny"] {
		fields(namespace(production, {"config.linkerd.io/default-inbound-policy": policy}), {}) == set()
	}
	fields(namespace(production, {"config.linkerd.io/default-inbound-policy": "all-unauthenticated"}), {}) == here
}

test_parameters if {
	review := {
		"review": {"object": namespace({"stage": "live"}, {})},
		"parameters": {"label": "stage", "value": "live", "rootNamespace": "mesh"},
	}
	fields(review, {}) == {"metadata.labels.stage"}
	fields(review, istio({"mesh": {"a": mode("STRICT")}})) == set()
	fields(review, istio({"istio-system": {"a": mode("STRICT")}})) == {"metadata.labels.stage"}
}

peer(spec) := {
	"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
	"metadata": {"name": "p", "namespace": "shop"}, "spec": spec,
}

test_exceptions if {
	fields(peer({"mtls": {"mode": "PERMISSIVE"}}), istio({})) == {"spec.mtls.mode"}
	fields(peer({"portLevelMtls": {"8080": {"mode": "DISABLE"}}}), istio({})) == {"spec.portLevelMtls.8080.mode"}
	fields(peer({"mtls": {"mode": "STRICT"}, "portLevelMtls": {"8080": {"mode": "UNSET"}}}), istio({})) == set()
	some found in production_mtls.violation with input as peer({"mtls": {"mode": "DISABLE"}}) with data.inventory as istio({})
	found.msg == "mode DISABLE lets calls in plain text into production namespace shop"
}

test_exceptions_elsewhere if {
	fields(peer({"mtls": {"mode": "PERMISSIVE"}}), {}) == set()
	staging := {"cluster": {"v1": {"Namespace": {"shop": namespace({"environment": "staging"}, {})}}}}
	fields(peer({"mtls": {"mode": "PERMISSIVE"}}), staging) == set()
}

test_other_kinds_are_left_alone if {
	every other in [{"kind": "Name"}, {"apiVersion": "example.com/v1"}] {
		fields(object.union(namespace(production, {}), other), {}) == set()
		fields(object.union(peer({"mtls": {"mode": "DISABLE"}}), other), istio({})) == set()
	}
}

test_gatekeeper_form if fields({"review": {"object": namespace(production, {})}}, {}) == here
