package convert_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/crds/convert"
)

func read(t *testing.T, text string) map[string]any {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// object makes an object of "split.smi-spec.io/v1alpha1 TrafficSplit" and content.
func object(t *testing.T, what, content string) map[string]any {
	t.Helper()
	version, kind, _ := strings.Cut(what, " ")
	return read(t, "apiVersion: "+version+"\nkind: "+kind+"\nmetadata: {name: x, namespace: shop, uid: u}\n"+content)
}

const (
	splits  = "split.smi-spec.io/"
	routes  = "specs.smi-spec.io/"
	targets = "access.smi-spec.io/"
	account = "{kind: ServiceAccount, name: a}"
)

func TestConvert(t *testing.T) {
	for _, tt := range []struct{ name, what, content, to, want string }{
		{"quantities that are whole", splits + "v1alpha1 TrafficSplit", "spec: {service: a, backends: [{service: b, weight: '90'}, {service: c, weight: 1k}]}",
			splits + "v1alpha4", "spec: {service: a, backends: [{service: b, weight: 90}, {service: c, weight: 1000}]}"},
		{"quantities that are not", splits + "v1alpha1 TrafficSplit", "spec: {service: a, backends: [{service: b, weight: 1}, {service: c, weight: 500m}]}",
			splits + "v1alpha2", "spec: {service: a, backends: [{service: b, weight: 2}, {service: c, weight: 1}]}"},
		{"quantities beyond 32 bits", splits + "v1alpha1 TrafficSplit", "spec: {service: a, backends: [{service: b, weight: 1Ti}, {service: c, weight: 1Ti}]}",
			splits + "v1alpha2", "spec: {service: a, backends: [{service: b, weight: 1}, {service: c, weight: 1}]}"},
		{"numbers stay", splits + "v1alpha1 TrafficSplit", "spec: {service: a, backends: [{service: b, weight: 90}, {service: c, weight: 10}]}",
			splits + "v1alpha3", "spec: {service: a, backends: [{service: b, weight: 90}, {service: c, weight: 10}]}"},
		{"matches are kept in v1alpha2", splits + "v1alpha4 TrafficSplit", "spec: {service: a, backends: [], matches: [{kind: HTTPRouteGroup, name: g}]}",
			splits + "v1alpha2", "spec: {service: a, backends: [], matches: [{kind: HTTPRouteGroup, name: g}]}"},
		{"matches move", routes + "v1alpha2 HTTPRouteGroup", "matches: [{name: m, headers: [{a: b}]}]",
			routes + "v1alpha4", "spec: {matches: [{name: m, headers: [{a: b}]}]}"},
		{"matches move back", routes + "v1alpha3 HTTPRouteGroup", "spec: {matches: [{name: m, pathRegex: /, headers: []}]}",
			routes + "v1alpha1", "matches: [{name: m, pathRegex: /}]"},
		{"all ports", routes + "v1alpha1 TCPRoute", "", routes + "v1alpha4", "spec: {matches: {ports: []}}"},
		{"all ports, back", routes + "v1alpha4 TCPRoute", "spec: {matches: {ports: []}}", routes + "v1alpha2", ""},
		{"specs are rules", targets + "v1alpha1 TrafficTarget", "destination: " + account + "\nspecs: [{kind: TCPRoute, name: r}]\nsources: [" + account + "]",
			targets + "v1alpha3", "spec: {destination: " + account + ", rules: [{kind: TCPRoute, name: r}], sources: [" + account + "]}"},
		{"a port in both", targets + "v1alpha2 TrafficTarget", "spec: {destination: {kind: ServiceAccount, name: a, port: 80}}",
			targets + "v1alpha1", "destination: {kind: ServiceAccount, name: a, port: 80}\nspecs: []\nsources: []"},
		{"no lists", targets + "v1alpha2 TrafficTarget", "spec: {destination: " + account + "}",
			targets + "v1alpha4", "spec: {destination: " + account + ", rules: [], sources: []}"},
		{"status stays", routes + "v1alpha3 HTTPRouteGroup", "spec: {matches: []}\nstatus: {conditions: []}",
			routes + "v1alpha2", "matches: []\nstatus: {conditions: []}"},
		{"a part of an object", targets + "v1alpha1 TrafficTarget", "", targets + "v1alpha3", ""},
		{"the version itself", targets + "v1alpha4 IdentityBinding", "spec: {schemes: {}}", targets + "v1alpha4", "spec: {schemes: {}}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			from := object(t, tt.what, tt.content)
			before := object(t, tt.what, tt.content)
			got, err := convert.Convert(from, tt.to)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(before, from); d != "" {
				t.Errorf("what was given was changed:\n%s", d)
			}
			back, err := convert.Convert(got, from["apiVersion"].(string))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(before, back); d != "" {
				t.Errorf("it comes back otherwise (-was +is):\n%s", d)
			}
			_, kind, _ := strings.Cut(tt.what, " ")
			want := object(t, tt.to+" "+kind, tt.want)
			if a, ok := got["metadata"].(map[string]any)["annotations"]; ok {
				want["metadata"].(map[string]any)["annotations"] = a
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestConvertRefuses(t *testing.T) {
	for _, tt := range []struct{ name, what, content, to, field string }{
		{"matches", splits + "v1alpha4 TrafficSplit", "spec: {matches: [{kind: HTTPRouteGroup, name: g}]}", splits + "v1alpha1", "spec.matches"},
		{"a ratio too fine", splits + "v1alpha1 TrafficSplit", "spec: {backends: [{service: b, weight: 1n}, {service: c, weight: 1k}]}", splits + "v1alpha2", "spec.backends[1].weight"},
		{"no quantity", splits + "v1alpha1 TrafficSplit", "spec: {backends: [{service: b}, {service: c, weight: many}]}", splits + "v1alpha2", "spec.backends[1].weight"},
		{"headers", routes + "v1alpha4 HTTPRouteGroup", "spec: {matches: [{name: a}, {name: b, headers: {x: y}}]}", routes + "v1alpha1", "spec.matches[1].headers"},
		{"headers beside the metadata", routes + "v1alpha2 HTTPRouteGroup", "matches: [{name: b, headers: [{x: y}]}]", routes + "v1alpha1", "matches[0].headers"},
		{"ports", routes + "v1alpha4 TCPRoute", "spec: {matches: {ports: [80]}}", routes + "v1alpha3", "spec.matches.ports"},
		{"the name of a match", routes + "v1alpha4 TCPRoute", "spec: {matches: {name: m, ports: []}}", routes + "v1alpha3", "spec.matches.name"},
		{"a list of matches", routes + "v1alpha4 TCPRoute", "spec: {matches: [{ports: [80]}]}", routes + "v1alpha3", "spec.matches"},
		{"a port", targets + "v1alpha2 TrafficTarget", "spec: {destination: {kind: ServiceAccount, name: a, port: 80}}", targets + "v1alpha3", "spec.destination.port"},
		{"a port beside the metadata", targets + "v1alpha1 TrafficTarget", "destination: {kind: ServiceAccount, name: a, port: '80'}", targets + "v1alpha4", "destination.port"},
		{"a binding that calls", targets + "v1alpha4 TrafficTarget", "spec: {destination: " + account + ", sources: [" + account + ", {kind: IdentityBinding, name: a}]}", targets + "v1alpha3", "spec.sources[1].kind"},
		{"a binding that is called", targets + "v1alpha4 TrafficTarget", "spec: {destination: {kind: IdentityBinding, name: a}}", targets + "v1alpha2", "spec.destination.kind"},
		{"a group", targets + "v1alpha4 TrafficTarget", "spec: {destination: {kind: ServiceAccount, group: x, name: a}}", targets + "v1alpha1", "spec.destination.group"},
		{"another group", splits + "v1alpha4 TrafficSplit", "", routes + "v1alpha4", "apiVersion"},
		{"no such version", splits + "v1alpha4 TrafficSplit", "", splits + "v1alpha5", "apiVersion"},
		{"no such kind", splits + "v1alpha4 TrafficSplits", "", splits + "v1alpha3", "apiVersion"},
		{"no such version of the kind", routes + "v1alpha4 UDPRoute", "", routes + "v1alpha3", "apiVersion"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := convert.Convert(object(t, tt.what, tt.content), tt.to)
			var refused *convert.Error
			if !errors.As(err, &refused) || refused.Field != tt.field {
				t.Fatalf("got %v, want one at %s", err, tt.field)
			}
		})
	}
}

// An edit counts, whatever was kept of the notation before it.
func TestEditOfWhatWasConverted(t *testing.T) {
	old := object(t, splits+"v1alpha1 TrafficSplit", "spec: {service: a, backends: [{service: b, weight: '90'}, {service: c, weight: 500m}]}")
	stored, err := convert.Convert(old, splits+"v1alpha4")
	if err != nil {
		t.Fatal(err)
	}
	if a := stored["metadata"].(map[string]any)["annotations"].(map[string]any); a[convert.Annotation] == nil {
		t.Fatalf("the notation was not kept: %v", a)
	}
	stored["spec"].(map[string]any)["backends"].([]any)[0].(map[string]any)["weight"] = int64(7)
	got, err := convert.Convert(stored, splits+"v1alpha1")
	if err != nil {
		t.Fatal(err)
	}
	want := object(t, splits+"v1alpha1 TrafficSplit", "spec: {service: a, backends: [{service: b, weight: 7}, {service: c, weight: 1}]}")
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// An annotation that others wrote changes nothing that is meant.
func TestForgedAnnotation(t *testing.T) {
	for _, text := range []string{"x", "{}", `{"version":"v1alpha1"}`, `{"version":"v9","content":{}}`,
		`{"version":"v1alpha1","content":{"spec":{"service":"evil","backends":[]}}}`} {
		from := object(t, splits+"v1alpha4 TrafficSplit", "spec: {service: a, backends: [{service: b, weight: 1}]}")
		from["metadata"].(map[string]any)["annotations"] = map[string]any{convert.Annotation: text}
		got, err := convert.Convert(from, splits+"v1alpha1")
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(object(t, splits+"v1alpha1 TrafficSplit", "spec: {service: a, backends: [{service: b, weight: 1}]}"), got); d != "" {
			t.Errorf("%s:\n%s", text, d)
		}
	}
}
