package crds_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apimachinery/pkg/runtime"
	kjson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

// corpus holds manifests of other projects. It is not part of the repository.
const corpus = "../../shared/corpus/smi"

// broken are files of it that hold no objects: no YAML; a placeholder.
var broken = []string{"specs_v1alpha4_tcproute.yaml", "specs_v1alpha4_udproute.yaml"}

func object(t *testing.T, text string) map[string]any {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatalf("the test's own object: %v", err)
	}
	var out map[string]any
	if err := kjson.Unmarshal(raw, &out); err != nil { // whole numbers as int64, as an API server reads them
		t.Fatalf("the test's own object: %v", err)
	}
	return out
}

func kindOf(o map[string]any) string {
	version, _ := o["apiVersion"].(string)
	kind, _ := o["kind"].(string)
	return version + " " + kind
}

var separator = regexp.MustCompile(`(?m)^---\s*$`)

func TestCorpusIsAccepted(t *testing.T) {
	if _, err := os.Stat(corpus); err != nil {
		t.Skipf("SKIPPED: no corpus of manifests at %s", corpus)
	}
	all := compile(t)
	seen := 0
	err := filepath.WalkDir(corpus, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || slices.Contains(broken, e.Name()) {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, text := range separator.Split(string(raw), -1) {
			o := object(t, text)
			c, ok := all[kindOf(o)]
			if !ok {
				continue
			}
			seen++
			for _, f := range c.faults(o) {
				t.Errorf("%s: %s", path, f)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := 54; seen != want {
		t.Errorf("checked %d objects, want %d", seen, want)
	}
}

func split(version, spec string) string {
	return "apiVersion: split.smi-spec.io/" + version + "\nkind: TrafficSplit\nmetadata: {name: x}\nspec: " + spec
}

func specs(version, kind, rest string) string {
	return "apiVersion: specs.smi-spec.io/" + version + "\nkind: " + kind + "\nmetadata: {name: x}\n" + rest
}

func access(version, kind, rest string) string {
	return "apiVersion: access.smi-spec.io/" + version + "\nkind: " + kind + "\nmetadata: {name: x}\n" + rest
}

const account = "{kind: ServiceAccount, name: a, namespace: far}"

func TestAccepted(t *testing.T) {
	all := compile(t)
	tests := []struct{ name, text string }{
		{"quantities", split("v1alpha1", "{service: a, backends: [{service: b, weight: 500m}, {service: c, weight: 1}, {service: d, weight: '0.5'}, {service: e, weight: 1Ki}]}")},
		{"the root as backend, all zero", split("v1alpha2", "{service: a.n, backends: [{service: a, weight: 0}]}")},
		{"matches survive v1alpha2", split("v1alpha2", "{service: a, backends: [], matches: [{kind: HTTPRouteGroup, name: g}]}")},
		{"matches with and without group", split("v1alpha4", "{service: a, backends: [{service: b, weight: 4294967295}], matches: [{kind: HTTPRouteGroup, name: g}, {apiGroup: specs.smi-spec.io, kind: HTTPRouteGroup, name: g}]}")},
		{"headers as list of maps", specs("v1alpha4", "HTTPRouteGroup", "spec: {matches: [{name: m, headers: [{a: b, c: d}, {e: f}]}]}")},
		{"headers as map", specs("v1alpha4", "HTTPRouteGroup", "spec: {matches: [{name: m, headers: {a: b}, methods: ['*'], pathRegex: ''}]}")},
		{"matches beside the metadata", specs("v1alpha2", "HTTPRouteGroup", "matches: [{name: m, headers: [{a: b}]}]")},
		{"no fields", specs("v1alpha1", "TCPRoute", "")},
		{"empty spec", specs("v1alpha3", "TCPRoute", "spec: {}")},
		{"all ports", specs("v1alpha4", "TCPRoute", "spec: {matches: {ports: []}}")},
		{"named ports", specs("v1alpha4", "UDPRoute", "spec: {matches: {name: dns, ports: [53]}}")},
		{"a status", specs("v1alpha4", "UDPRoute", "spec: {matches: {ports: []}}\nstatus: {conditions: [{type: Accepted, status: 'True', observedGeneration: 1, lastTransitionTime: '2024-05-01T12:00:00Z', reason: Accepted, message: ''}]}")},
		{"quoted port", access("v1alpha1", "TrafficTarget", "destination: {kind: ServiceAccount, name: a, port: '9091'}\nspecs: []\nsources: []")},
		{"port", access("v1alpha2", "TrafficTarget", "spec: {destination: {kind: ServiceAccount, name: a, port: 80}}")},
		{"empty lists", access("v1alpha3", "TrafficTarget", "spec: {destination: "+account+", rules: [], sources: []}")},
		{"a binding as account", access("v1alpha4", "TrafficTarget", "spec: {destination: {kind: IdentityBinding, group: access.smi-spec.io, name: a}, rules: [{kind: UDPRoute, name: u, matches: [m]}], sources: []}")},
		{"a binding", access("v1alpha4", "IdentityBinding", "spec: {schemes: {podLabelSelector: {matchLabels: {a: b}}, spiffeIdentities: [td/a]}}")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := object(t, tt.text)
			for _, f := range all[kindOf(o)].faults(o) {
				t.Error(f)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	all := compile(t)
	weight := func(version, w string) string {
		return split(version, "{service: a, backends: [{service: b, weight: "+w+"}]}")
	}
	tests := []struct{ name, text, want string }{
		{"fraction", weight("v1alpha4", "0.5"), "spec.backends[0].weight"},
		{"negative", weight("v1alpha2", "-1"), "spec.backends[0].weight"},
		{"quantity in v1alpha4", weight("v1alpha4", "100m"), "spec.backends[0].weight"},
		{"quoted in v1alpha3", weight("v1alpha3", "'90'"), "spec.backends[0].weight"},
		{"beyond 32 bits", weight("v1alpha4", "4294967296"), "spec.backends[0].weight"},
		{"negative quantity", weight("v1alpha1", "-1m"), "spec.backends[0].weight"},
		{"negative number in v1alpha1", weight("v1alpha1", "-1"), "spec.backends[0].weight"},
		{"no weight", split("v1alpha4", "{service: a, backends: [{service: b}]}"), "spec.backends[0].weight"},
		{"no service", split("v1alpha1", "{backends: []}"), "spec.service"},
		{"service as an object", split("v1alpha4", "{service: {name: a}, backends: []}"), "spec.service"},
		{"matches of another kind", split("v1alpha4", "{service: a, backends: [], matches: [{kind: TCPRoute, name: g}]}"), "spec.matches[0].kind"},
		{"matches beside the metadata in v1alpha4", specs("v1alpha4", "HTTPRouteGroup", "matches: [{name: m}]"), "spec"},
		{"no name", specs("v1alpha3", "HTTPRouteGroup", "spec: {matches: [{pathRegex: /}]}"), "spec.matches[0].name"},
		{"a method in lower case", specs("v1alpha4", "HTTPRouteGroup", "spec: {matches: [{name: m, methods: [get]}]}"), "spec.matches[0].methods[0]"},
		{"headers in v1alpha1", specs("v1alpha1", "HTTPRouteGroup", "matches: [{name: m, headers: [{a: b}]}]"), "cut off: matches[0].headers"},
		{"ports in v1alpha3", specs("v1alpha3", "TCPRoute", "spec: {matches: {ports: [1]}}"), "cut off: spec.matches"},
		{"empty spec in v1alpha4", specs("v1alpha4", "TCPRoute", "spec: {}"), "spec.matches"},
		{"matches as a list", specs("v1alpha4", "TCPRoute", "spec: {matches: [{ports: [1]}]}"), "spec.matches"},
		{"port 0", specs("v1alpha4", "UDPRoute", "spec: {matches: {ports: [0]}}"), "spec.matches.ports[0]"},
		{"port 65536", specs("v1alpha4", "TCPRoute", "spec: {matches: {ports: [65536]}}"), "spec.matches.ports[0]"},
		{"port of a target in v1alpha3", access("v1alpha3", "TrafficTarget", "spec: {destination: {kind: ServiceAccount, name: a, port: 80}, rules: [], sources: []}"), "cut off: spec.destination.port"},
		{"port of a target", access("v1alpha2", "TrafficTarget", "spec: {destination: {kind: ServiceAccount, name: a, port: 65536}}"), "spec.destination.port"},
		{"port by name", access("v1alpha1", "TrafficTarget", "destination: {kind: ServiceAccount, name: a, port: http}\nspecs: []\nsources: []"), "destination.port"},
		{"no destination", access("v1alpha2", "TrafficTarget", "spec: {}"), "spec.destination"},
		{"no sources", access("v1alpha3", "TrafficTarget", "spec: {destination: "+account+", rules: []}"), "spec.sources"},
		{"a rule of another kind", access("v1alpha3", "TrafficTarget", "spec: {destination: "+account+", sources: [], rules: [{kind: HTTPRoute, name: r}]}"), "spec.rules[0].kind"},
		{"every pod", access("v1alpha4", "IdentityBinding", "spec: {schemes: {podLabelSelector: {matchLabels: {}}}}"), "spec.schemes.podLabelSelector.matchLabels"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := object(t, tt.text)
			c, ok := all[kindOf(o)]
			if !ok {
				t.Fatalf("no schema for %s", kindOf(o))
			}
			got := c.faults(o)
			if !slices.ContainsFunc(got, func(f string) bool { return f == tt.want || strings.HasPrefix(f, tt.want+":") }) {
				t.Errorf("got %q, want one at %s", got, tt.want)
			}
		})
	}
}

// Without conversion an object goes through the schemas of two versions: the
// one it is written in and the one it is stored in. Where both are served,
// nothing may be cut off on the way there or back.
func TestServedVersionsLoseNothing(t *testing.T) {
	all := compile(t)
	samples := []string{
		split("%v", "{service: a, backends: [{service: b, weight: 3}], matches: [{apiGroup: specs.smi-spec.io, kind: HTTPRouteGroup, name: g}]}"),
		specs("%v", "HTTPRouteGroup", "spec: {matches: [{name: m, pathRegex: /a, methods: [GET], headers: [{a: b}]}]}"),
		specs("%v", "TCPRoute", "spec: {matches: {name: db, ports: [3306]}}"),
		access("%v", "TrafficTarget", "spec: {destination: "+account+", sources: ["+account+"], rules: [{kind: HTTPRouteGroup, name: g, matches: [m]}]}"),
	}
	served := 0
	for _, sample := range samples {
		for key, c := range all {
			want := object(t, sample)
			group, _, _ := strings.Cut(want["apiVersion"].(string), "/")
			if !c.served || !strings.HasPrefix(key, group+"/") || !strings.HasSuffix(key, " "+want["kind"].(string)) {
				continue
			}
			served++
			got := runtime.DeepCopyJSON(want)
			pruning.Prune(got, c.structural, true)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %v became %v", key, want, got)
			}
		}
	}
	if want := 7; served != want {
		t.Errorf("tried %d served versions, want %d", served, want)
	}
}
