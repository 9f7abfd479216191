package crds_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshknot/meshknot/test/lab"
)

const mesh = "apiVersion: meshknot.io/v1alpha1\nkind: MeshBinding\nmetadata: {name: "

// What a real API server fills in, and what it refuses.
func TestOwnKindsOnServer(t *testing.T) {
	lab.Need(t, lab.KubeAPIServer, lab.Etcd)
	k, err := lab.ForTest(t).StartKube()
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Define(lab.OurCRDs); err != nil {
		t.Fatal(err)
	}
	made, err := k.Create(object(t, mesh+"shop}\nspec: {namespaceSelector: {}, backend: {name: istio}}"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"namespaceSelector": map[string]any{}, "backend": map[string]any{"name": "istio"},
		"access": "selected", "dialect": "spec", "trustDomain": "cluster.local", "lossGate": "dropped"}
	if d := cmp.Diff(want, made["spec"]); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	t.Run("refused", func(t *testing.T) { refused(t, k) })
	t.Run("status", func(t *testing.T) { statuses(t, k) })
}

func refused(t *testing.T, k *lab.Kube) {
	const any, waiver = "{namespaceSelector: {}, backend: {name: istio}", ", waivers: [{code: MK2104, kind: K, name: x, reason: "
	options := func(key, value string) string {
		return "{namespaceSelector: {}, backend: {name: istio, options: {" + key + ": " + value + "}}}"
	}
	for _, tt := range []struct{ name, spec, want string }{
		{"a", "{backend: {name: istio}}", "spec.namespaceSelector: Required value"},
		{"a", "{namespaceSelector: {}}", "spec.backend: Required value"},
		{"a", "{namespaceSelector: {}, backend: {name: traefik}}", "spec.backend.name: Unsupported value"},
		{"a", "{namespaceSelector: {}, backend: {name: istio, version: v1.26}}", "spec.backend.version: Invalid value"},
		{"a", options("'"+strings.Repeat("k", 257)+"'", "v"), "a key has 1 to 256 characters"},
		{"a", options("k", strings.Repeat("v", 1025)), "a value has at most 1024 characters"},
		{"a", any + ", access: open}", "spec.access: Unsupported value"},
		{"a", any + ", dialect: nginx}", "spec.dialect: Unsupported value"},
		{"a", any + ", lossGate: widened}", "spec.lossGate: Unsupported value"},
		{"a", any + ", trustDomain: 'no domain'}", "spec.trustDomain: Invalid value"},
		{"a", any + waiver + "' '}]}", "a waiver has a reason"},
		{"a", any + ", waivers: [{code: MK2104, kind: K, name: x}]}", "spec.waivers[0].reason: Required value"},
		{"a", any + ", waivers: [{code: X1, kind: K, name: x, reason: r}]}", "spec.waivers[0].code: Invalid value"},
		{"a", "{namespaceSelector: {matchExpressions: [" + strings.Repeat("{key: a, operator: Exists}, ", 17) + "]}, backend: {name: istio}}", "at most 16 expressions"},
		{strings.Repeat("a", 64), any + "}", "at most 63 characters"},
	} {
		_, err := k.Create(object(t, mesh+tt.name+"}\nspec: "+tt.spec))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.spec, err, tt.want)
		}
	}
	for _, spec := range []string{
		any + waiver + "for now, expires: '2027-01-31T00:00:00Z'}], paused: true}",
		"{namespaceSelector: {matchLabels: {a: b}}, backend: {name: envoy, version: '1.40', options: {listen.a/b:80: '127.0.0.1:80'}}, access: strict, lossGate: exact}",
	} {
		if _, err := k.Create(object(t, mesh+"b"+strings.Repeat("b", len(spec)%7)+"}\nspec: "+spec)); err != nil {
			t.Errorf("%s: %v", spec, err)
		}
	}
}

// A binding's status is of the controller alone; a report is written as a whole,
// and its conditions and back ends are told apart by name.
func statuses(t *testing.T, k *lab.Kube) {
	made, err := k.Create(object(t, mesh+"status}\nspec: {namespaceSelector: {}, backend: {name: grpc}}\nstatus: {namespaces: 3}"))
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := made["status"]; ok {
		t.Errorf("whoever makes a binding says its status: %v", s)
	}
	report := "apiVersion: meshknot.io/v1alpha1\nkind: TranslationReport\nmetadata: {name: trafficsplit.split.reviews, namespace: default}\nstatus: "
	source := "source: {apiVersion: split.smi-spec.io/v1alpha4, kind: TrafficSplit, name: reviews}"
	made, err = k.Create(object(t, report+"{"+source+", backends: [{binding: shop, backend: istio, findings: [{code: MK3002, severity: error, class: dropped, message: m}]}]}"))
	if err != nil {
		t.Fatal(err)
	}
	if made["status"] == nil {
		t.Error("a report was made without its status")
	}
	for _, status := range []string{
		"{" + source + ", backends: [{binding: a, backend: b}, {binding: a, backend: c}]}",
		"{" + source + ", findings: [{code: MK1, severity: bad, message: m}]}",
		"{" + source + ", findings: [{code: MK1, severity: info, message: " + strings.Repeat("m", 1025) + "}]}",
		"{" + source + ", findings: [" + strings.Repeat("{code: MK1, severity: info, message: m}, ", 65) + "]}",
		"{}",
	} {
		if _, err := k.Create(object(t, strings.Replace(report, "reviews", "other", 1)+status)); !lab.IsStatus(err, 422) {
			t.Errorf("%.120s: got %v, want a refusal", status, err)
		}
	}
}
