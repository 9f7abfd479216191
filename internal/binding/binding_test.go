package binding_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/internal/binding"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/report"
)

// read makes a binding with a spec.
func read(t *testing.T, name, spec string) v1alpha1.MeshBinding {
	t.Helper()
	b := v1alpha1.MeshBinding{}
	if err := yaml.UnmarshalStrict([]byte("metadata: {name: "+name+"}\nspec: "+spec), &b); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDecode(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	b := read(t, "shop", `{namespaceSelector: {}, backend: {name: istio, version: "1.26", options: {root-namespace: top}}, access: strict, dialect: osm,
  trustDomain: td.example, lossGate: exact, paused: true, waivers: [{code: MK2104, kind: TrafficSplit, namespace: shop, name: s, reason: for now, expires: "2026-01-02T03:04:05Z"}]}`)
	b.Generation, b.CreationTimestamp = 7, metav1.NewTime(at)
	got, err := binding.Decode(b, all.Pipeline())
	if err != nil {
		t.Fatal(err)
	}
	if !got.Selector.Empty() {
		t.Errorf("the selector is %v", got.Selector)
	}
	got.Selector = nil
	want := binding.Binding{Name: "shop", Created: at, Generation: 7, Access: "strict", Dialect: "osm", Gate: report.Exact, Paused: true,
		Target: translators.Target{Backend: "istio", Name: "shop", Version: "1.26", TrustDomain: "td.example", Options: map[string]string{"root-namespace": "top"}},
		Waivers: []binding.Waiver{{Waiver: feature.Waiver{Code: "MK2104", Object: report.Ref{Kind: "TrafficSplit", Namespace: "shop", Name: "s"}, Reason: "for now"},
			Expires: at}}}
	for i := range got.Waivers {
		got.Waivers[i].Expires = got.Waivers[i].Expires.UTC()
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestDecodeFillsDefaults(t *testing.T) {
	got, err := binding.Decode(read(t, "b", "{namespaceSelector: {matchLabels: {a: b}}, backend: {name: grpc}}"), all.Pipeline())
	if err != nil {
		t.Fatal(err)
	}
	got.Selector = nil
	want := binding.Binding{Name: "b", Access: "selected", Dialect: "spec", Gate: report.Dropped,
		Target: translators.Target{Backend: "grpc", Name: "b", TrustDomain: "cluster.local", Options: map[string]string{}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestDecodeRefuses(t *testing.T) {
	const any, envoy = "namespaceSelector: {}, ", "backend: {name: envoy}"
	for _, tt := range []struct{ name, spec, field string }{
		{strings.Repeat("a", 64), "{" + any + envoy + "}", "metadata.name"},
		{"a", "{" + any + "backend: {name: traefik}}", "spec.backend.name"},
		{"a", "{" + any + "backend: {name: istio, version: '1.2'}}", "spec.backend.version"},
		{"a", "{" + any + "backend: {name: grpc, version: '1.2'}}", "spec.backend.version"},
		{"a", "{" + any + "backend: {name: istio, options: {root: x}}}", "spec.backend.options"},
		{"a", "{" + any + "backend: {name: envoy, options: {listen.: x}}}", "spec.backend.options"},
		{"a", "{" + any + "backend: {name: gateway-api, options: {authorization: envoy}}}", "spec.backend.options.authorization"},
		{"a", "{" + any + "backend: {name: gateway-api, options: {authorization: istio@1.2}}}", "spec.backend.options.authorization"},
		{"a", "{" + any + "backend: {name: gateway-api, options: {authorization: istio, authorization.form: config}}}", "spec.backend.options"},
		{"a", "{" + any + "backend: {name: gateway-api, options: {authorization.form: config}}}", "spec.backend.options"},
		{"a", "{namespaceSelector: {matchExpressions: [{key: a, operator: Near}]}, " + envoy + "}", "spec.namespaceSelector"},
		{"a", "{namespaceSelector: {matchLabels: {a: 'no value'}}, " + envoy + "}", "spec.namespaceSelector"},
		{"a", "{" + any + envoy + ", access: open}", "spec.access"},
		{"a", "{" + any + envoy + ", dialect: nginx}", "spec.dialect"},
		{"a", "{" + any + envoy + ", lossGate: widened}", "spec.lossGate"},
		{"a", "{" + any + envoy + ", waivers: [{code: MK1, kind: K, name: n, reason: ' '}]}", "spec.waivers[0].reason"},
		{"a", "{" + any + envoy + ", waivers: [{code: MK1, name: n, reason: r}]}", "spec.waivers[0]"},
	} {
		t.Run(tt.spec, func(t *testing.T) {
			_, err := binding.Decode(read(t, tt.name, tt.spec), all.Pipeline())
			var e *binding.Error
			if !errors.As(err, &e) || e.Field != tt.field {
				t.Errorf("got %v, want one at %s", err, tt.field)
			}
		})
	}
}

// Options that back ends list are taken, families and those of an authorizer too.
func TestDecodeTakesOptions(t *testing.T) {
	for _, backend := range []string{
		"{name: envoy, options: {sds: 'file:x', listen.a/b:80: 'c:1'}}",
		"{name: consul, options: {form: kubernetes}}",
		"{name: gateway-api, options: {authorization: istio@1.26, authorization.root-namespace: x}}",
	} {
		if _, err := binding.Decode(read(t, "a", "{namespaceSelector: {}, backend: "+backend+"}"), all.Pipeline()); err != nil {
			t.Errorf("%s: %v", backend, err)
		}
	}
}
