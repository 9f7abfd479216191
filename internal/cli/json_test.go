package cli

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"testing"
)

// keys demands that a JSON object has exactly these keys.
func keys(t *testing.T, where string, v any, want ...string) map[string]any {
	t.Helper()
	object, ok := v.(map[string]any)
	if !ok {
		t.Fatalf("%s is %T, no object", where, v)
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(object)); !slices.Equal(got, want) {
		t.Errorf("%s has the keys %q, want %q", where, got, want)
	}
	return object
}

func list(t *testing.T, where string, v any) []any {
	t.Helper()
	out, ok := v.([]any)
	if !ok {
		t.Fatalf("%s is %T, no list", where, v)
	}
	return out
}

// finding demands the shape of a finding. A waiver and related places are shown
// only where there are any.
func finding(t *testing.T, v any, more ...string) map[string]any {
	t.Helper()
	f := keys(t, "finding", v, append([]string{"code", "severity", "class", "backend", "message", "hint", "source"}, more...)...)
	keys(t, "source", f["source"], "group", "kind", "namespace", "name", "field", "file", "line", "column")
	return f
}

func decode(t *testing.T, text string) any {
	t.Helper()
	var doc any
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	if err := d.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	if d.More() {
		t.Fatal("more than one document")
	}
	return doc
}

// TestTranslationShape: "translate -o json" prints what users' programs rely on.
func TestTranslationShape(t *testing.T) {
	atRoot(t)
	got := run(t, "translate", "-f", "examples/bookstore", "--to", "envoy,istio@1.31", "-o", "json", "--access", "selected")
	if got.code != exitNo {
		t.Fatalf("exit status %d: %s", got.code, got.err)
	}
	doc := keys(t, "document", decode(t, got.out), "apiVersion", "kind", "access", "backends", "findings")
	if doc["apiVersion"] != "meshknot.io/v1alpha1" || doc["kind"] != "Translation" || doc["access"] != "selected" {
		t.Errorf("document is %v %v, access %v", doc["apiVersion"], doc["kind"], doc["access"])
	}
	backends := list(t, "backends", doc["backends"])
	for i, want := range []string{"envoy", "istio@1.31"} {
		b := keys(t, "backend", backends[i], "name", "artifacts", "findings", "summary")
		if b["name"] != want {
			t.Errorf("back end %v, want %s", b["name"], want)
		}
		s := keys(t, "summary", b["summary"], "fields", "exact", "relocated", "approximated", "narrowed", "dropped", "widened")
		sum := 0.0
		for class, n := range s {
			if class != "fields" {
				sum += n.(float64)
			}
		}
		if sum != s["fields"] || sum == 0 {
			t.Errorf("%s: the classes add up to %v of %v fields", want, sum, s["fields"])
		}
		checkArtifacts(t, want, list(t, "artifacts", b["artifacts"]))
		for _, f := range list(t, "findings", b["findings"]) {
			finding(t, f)
		}
	}
	open := finding(t, list(t, "findings", doc["findings"])[0])
	if open["code"] != "MK2033" || open["severity"] != "info" || open["source"].(map[string]any)["line"] != 48.0 {
		t.Errorf("the open workload is %v", open)
	}
}

func checkArtifacts(t *testing.T, backend string, artifacts []any) {
	t.Helper()
	if len(artifacts) == 0 {
		t.Errorf("%s has no artifacts", backend)
	}
	for _, a := range artifacts {
		a := keys(t, "artifact", a, "type", "name", "payload", "refs")
		payload, ok := a["payload"].(map[string]any)
		switch {
		case !ok:
			t.Errorf("payload of %v is %T", a["name"], a["payload"])
		case backend == "envoy" && payload["@type"] != a["type"]:
			t.Errorf("payload of %v is a %v", a["name"], payload["@type"])
		case backend != "envoy" && payload["apiVersion"].(string)+"/"+payload["kind"].(string) != a["type"]:
			t.Errorf("payload of %v is a %v", a["name"], payload["kind"])
		}
		for _, ref := range list(t, "refs", a["refs"]) {
			for k := range ref.(map[string]any) {
				if !slices.Contains([]string{"group", "kind", "namespace", "name", "field"}, k) {
					t.Errorf("a ref has the key %q", k)
				}
			}
		}
	}
}

// TestFindingShape: so do findings in every other verb.
func TestFindingShape(t *testing.T) {
	atRoot(t)
	got := run(t, "losses", "-f", "examples/bookstore", "--to", "istio", "-o", "json",
		"--allow", "MK3002=HTTPRouteGroup/shop/reviews-api:paged")
	doc := keys(t, "document", decode(t, got.out), "findings")
	f := finding(t, list(t, "findings", doc["findings"])[0], "waived")
	source := f["source"].(map[string]any)
	for k, want := range map[string]any{"group": "specs.smi-spec.io", "kind": "HTTPRouteGroup", "namespace": "shop", "name": "reviews-api",
		"field": "spec.matches[1].pathRegex", "file": "examples/bookstore/access.yaml", "line": 11.0, "column": 16.0} {
		if source[k] != want {
			t.Errorf("source.%s is %v, want %v", k, source[k], want)
		}
	}
	for k, want := range map[string]any{"code": "MK3002", "severity": "info", "class": "dropped", "backend": "istio", "waived": "paged"} {
		if f[k] != want {
			t.Errorf("%s is %v, want %v", k, f[k], want)
		}
	}
}

// TestWithheldShape: output that is withheld says so and holds no artifact.
func TestWithheldShape(t *testing.T) {
	atRoot(t)
	write(t, "unknown.yaml", `{apiVersion: access.smi-spec.io/v1alpha3, kind: TrafficTarget, metadata: {name: who, namespace: elsewhere},
  spec: {destination: {kind: ServiceAccount, name: nobody, namespace: elsewhere}, rules: [], sources: []}}`)
	got := run(t, "translate", "-f", "unknown.yaml", "-f", "examples/canary", "--to", "istio", "-o", "json")
	doc := decode(t, got.out).(map[string]any)
	b := keys(t, "backend", list(t, "backends", doc["backends"])[0], "name", "withheld", "artifacts", "findings", "summary")
	if got.code != exitNo || b["withheld"] != true || len(list(t, "artifacts", b["artifacts"])) > 0 {
		t.Errorf("exit status %d, withheld %v, artifacts %v", got.code, b["withheld"], b["artifacts"])
	}
}
