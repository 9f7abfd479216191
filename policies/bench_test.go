package policies

import (
	"fmt"
	"testing"
)

func BenchmarkCheck1000(b *testing.B) {
	e, objects := New(Shipped()...), world(1000)
	e.Rules()
	for b.Loop() {
		e.Check(b.Context(), objects)
	}
}

// BenchmarkRoutes1000 is a thousand routes of one Gateway in one namespace, which
// rules that compare routes take longest over.
func BenchmarkRoutes1000(b *testing.B) {
	e, objects := New(Shipped()...), edge(1000)
	e.Rules()
	for b.Loop() {
		e.Check(b.Context(), objects)
	}
}

// edge is a Gateway with n routes.
func edge(n int) []Object {
	meta := func(name string) map[string]any { return map[string]any{"name": name, "namespace": "shop"} }
	objects := []Object{NewObject(map[string]any{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": meta("edge"),
		"spec": map[string]any{"gatewayClassName": "istio", "listeners": []any{map[string]any{"name": "http", "port": 80}}}})}
	for i := range n {
		rule := func(path, backend string) map[string]any {
			return map[string]any{
				"matches":     []any{map[string]any{"path": map[string]any{"type": "PathPrefix", "value": path}}},
				"backendRefs": []any{map[string]any{"name": backend, "port": 80, "weight": 1}},
			}
		}
		objects = append(objects, NewObject(map[string]any{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
			"metadata": meta(fmt.Sprint("r", i)), "spec": map[string]any{
				"parentRefs": []any{map[string]any{"name": "edge"}}, "hostnames": []any{fmt.Sprintf("h%d.example.com", i)},
				"rules": []any{rule("/", "a"), rule("/b", "b")}}}))
	}
	return objects
}

// BenchmarkCold is what one check of one object costs a fresh process.
func BenchmarkCold(b *testing.B) {
	for b.Loop() {
		New(Shipped()...).Check(b.Context(), []Object{split("a")})
	}
}

// world is a mesh with something to say for every shipped rule.
func world(n int) []Object {
	var objects []Object
	for i := range n / 5 {
		ns, app := fmt.Sprintf("ns%d", i%20), fmt.Sprintf("app%d", i)
		meta := func(name string) map[string]any { return map[string]any{"name": name, "namespace": ns} }
		account := func(name string) map[string]any {
			return map[string]any{"kind": "ServiceAccount", "name": name, "namespace": ns}
		}
		objects = append(objects,
			NewObject(map[string]any{"apiVersion": "split.smi-spec.io/v1alpha4", "kind": "TrafficSplit", "metadata": meta(app),
				"spec": map[string]any{"service": app, "backends": []any{
					map[string]any{"service": app + "-v1", "weight": 90}, map[string]any{"service": app + "-v2", "weight": i % 12}}}}),
			NewObject(map[string]any{"apiVersion": "access.smi-spec.io/v1alpha3", "kind": "TrafficTarget", "metadata": meta(app),
				"spec": map[string]any{"destination": account(app), "sources": []any{account("default"), account("web")},
					"rules": []any{map[string]any{"kind": "HTTPRouteGroup", "name": app}}}}),
			NewObject(map[string]any{"apiVersion": "specs.smi-spec.io/v1alpha4", "kind": "HTTPRouteGroup", "metadata": meta(app),
				"spec": map[string]any{"matches": []any{map[string]any{"name": "all", "pathRegex": ".*"}}}}),
			NewObject(map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": meta(app + "-v1"),
				"spec": map[string]any{"selector": map[string]any{"app": app}}}),
			NewObject(map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta(app + "-v1"),
				"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{"labels": map[string]any{"app": app}},
					"spec": map[string]any{"serviceAccountName": app}}}}),
		)
	}
	return objects
}
