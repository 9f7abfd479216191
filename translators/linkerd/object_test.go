package linkerd

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/manifest"
	"github.com/meshknot/meshknot/translators/report"
)

// Units are shared: what is given stays as it is, and gives the same again.
func TestTranslateIsPure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorkload(t)
		s := ir.Service{Namespace: "shop", Name: "web", Ports: []ir.Port{{Number: 80, Protocol: ir.HTTP, Routes: drawRoutes(t, "r"),
			Views: []ir.View{{Namespace: "office", Routes: drawRoutes(t, "v")}}}}}
		for _, u := range []ir.Unit{{Workload: &w}, {Service: &s}} {
			before, _ := json.Marshal(u)
			first, found := backend{}.Translate(u, translators.Target{})
			second, again := backend{}.Translate(u, translators.Target{})
			after, _ := json.Marshal(u)
			if string(before) != string(after) {
				t.Fatalf("%s was changed", u.Key())
			}
			if !reflect.DeepEqual(first, second) || !reflect.DeepEqual(found, again) {
				t.Fatalf("%s gives one thing, then another", u.Key())
			}
		}
	})
}

// An edit of a weight, a path or a caller keeps the names of what it edits.
func TestNamesSurviveEdits(t *testing.T) {
	grant := func(path, caller string) ir.Workload {
		return ir.Workload{Namespace: "shop", Account: "api", Enforced: true, Pods: []ir.PodClass{{Labels: map[string]string{"app": "api"}}},
			Ports: []ir.WorkloadPort{{Number: 8080, Protocol: ir.HTTP}}, Grants: []ir.Grant{{Name: ir.Name{Namespace: "shop", Name: "g"},
				Sources: []ir.Source{{Identity: ir.Identity{Namespace: "shop", Account: caller}}}, Ports: []ir.GrantPort{{Number: 8080}},
				Matches: []ir.Match{{Path: ir.StringMatch{Kind: ir.MatchExact, Value: path}, Methods: []string{"*"}}}}}}
	}
	ids := func(w ir.Workload) []translators.ID {
		var out []translators.ID
		artifacts, _ := meshOf(translators.Target{}).workload(w)
		for _, a := range artifacts {
			out = append(out, a.ID)
		}
		return out
	}
	if a, b := ids(grant("/a", "x")), ids(grant("/b", "y")); len(a) != 5 || !slices.Equal(a, b) {
		t.Errorf("%v became %v", a, b)
	}
}

// Accounts with the same labels make one Server, of which each is a source.
func TestServersAreAssembled(t *testing.T) {
	part := func(account string, protocol ir.Protocol) translators.Artifact {
		w := ir.Workload{Namespace: "shop", Account: account, Enforced: true, Ref: report.Ref{Kind: "ServiceAccount", Namespace: "shop", Name: account},
			Pods: []ir.PodClass{{Labels: map[string]string{"app": "twin"}}}, Ports: []ir.WorkloadPort{{Number: 80, Protocol: protocol}}}
		artifacts, _ := meshOf(translators.Target{}).workload(w)
		return artifacts[0]
	}
	one, two := part("one", ir.TCP), part("two", ir.HTTP)
	if one.ID != two.ID || one.Part == two.Part {
		t.Fatalf("%v and %v are not parts of one", one, two)
	}
	out, found := backend{}.Assemble([]translators.Artifact{one, two})
	o := out.Payload.(object)
	if got := text(o, "spec", "proxyProtocol"); got != "unknown" || len(found) > 0 || text(o, "spec", "accessPolicy") != "deny" {
		t.Errorf("%v %v", o, found)
	}
	if got := text(o, "metadata", "annotations", manifest.SourceAnnotation); !strings.Contains(got, "shop/one") || !strings.Contains(got, "shop/two") {
		t.Errorf("the sources are %s", got)
	}
	if text(one.Payload.(object), "spec", "proxyProtocol") != "opaque" {
		t.Error("a part was changed")
	}
}

// A namespace that denies can be said by Linkerd's installation alone.
func TestNamespaceIsWithheld(t *testing.T) {
	u := ir.Unit{Namespace: &ir.Namespace{Name: "shop", Enforced: true}}
	if p := translators.Translate(u, backend{}, translators.Target{}, nil); !p.Withheld {
		t.Error("the output is not withheld")
	}
	deny := translators.Target{Options: map[string]string{defaultPolicyOption: "deny"}}
	if p := translators.Translate(u, backend{}, deny, nil); p.Withheld || len(p.Findings) > 0 {
		t.Errorf("with deny by default: %v", p)
	}
}

// Two Servers may not meet on a port of a pod: classes that a wider one contains
// are left out.
func TestOneServerForAPort(t *testing.T) {
	w := ir.Workload{Namespace: "shop", Account: "api", Enforced: true, Ports: []ir.WorkloadPort{{Number: 80, Protocol: ir.HTTP}, {Number: 53, Protocol: ir.UDP}},
		Pods: []ir.PodClass{{Labels: map[string]string{"app": "api", "v": "2"}}, {Labels: map[string]string{"app": "api"}}}}
	artifacts, _ := meshOf(translators.Target{}).workload(w)
	if len(artifacts) != 1 {
		t.Errorf("%v", artifacts)
	}
}

// Identities of another form are nobody's, and nothing is granted to them.
func TestForeignIdentityIsRefused(t *testing.T) {
	w := ir.Workload{Namespace: "shop", Account: "api", Enforced: true, Pods: []ir.PodClass{{Labels: map[string]string{"app": "api"}}},
		Ports: []ir.WorkloadPort{{Number: 80, Protocol: ir.HTTP}}, Grants: []ir.Grant{{Ports: []ir.GrantPort{{Number: 80}}, Matches: []ir.Match{ir.MatchAll(report.Ref{})},
			Sources: []ir.Source{{Identity: ir.Identity{SPIFFE: "spiffe://other/x"}}}}}}
	artifacts, found := meshOf(translators.Target{}).workload(w)
	if len(artifacts) != 1 || len(found) != 1 || found[0].Code != report.Refused {
		t.Errorf("%v %v", artifacts, found)
	}
}

func TestWeightsKeepTheirRatio(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Uint32Range(1, 1<<32-1).Draw(t, "a"), rapid.Uint32Range(1, 1<<32-1).Draw(t, "b")
		w, exact := weightsOf([]ir.Backend{{Weight: a}, {Weight: b}})
		if w[0] < 1 || w[1] < 1 || w[0] > maxWeight || w[1] > maxWeight {
			t.Fatalf("%d and %d became %v", a, b, w)
		}
		if exact != (uint64(a)*uint64(w[1]) == uint64(b)*uint64(w[0])) && exact {
			t.Fatalf("%d and %d became %v, which is said to be the same", a, b, w)
		}
		off := float64(a)/(float64(a)+float64(b)) - float64(w[0])/float64(w[0]+w[1])
		if off > 1e-5 || off < -1e-5 {
			t.Fatalf("%d and %d became %v", a, b, w)
		}
	})
}

// More matches than a rule or a route takes are spread over several.
func TestLimits(t *testing.T) {
	var matches []ir.Match
	for i := range 300 {
		matches = append(matches, ir.Match{Path: ir.StringMatch{Kind: ir.MatchExact, Value: "/" + strings.Repeat("x", i+1)}, Methods: []string{"*"}})
	}
	var routes []ir.Route
	for i := range 20 {
		name := "r" + strings.Repeat("x", i)
		routes = append(routes, ir.Route{Name: name, Matches: matches[i*15 : i*15+15], Backends: []ir.Backend{to(name, 1)}})
	}
	routes = append(routes, ir.Route{Name: "default", Matches: []ir.Match{ir.MatchAll(report.Ref{})}, Backends: []ir.Backend{to("web", 1)}})
	s := ir.Service{Namespace: "shop", Name: "web", Ports: []ir.Port{{Number: 80, Protocol: ir.HTTP, Routes: routes}}}
	artifacts, found := meshOf(translators.Target{}).service(s)
	if made(t, artifacts); len(artifacts) != 3 || len(found) != 1 {
		t.Errorf("%d routes, %v", len(artifacts), found)
	}
	w := ir.Workload{Namespace: "shop", Account: "api", Enforced: true, Pods: []ir.PodClass{{Labels: map[string]string{"app": "api"}}},
		Ports: []ir.WorkloadPort{{Number: 80, Protocol: ir.HTTP}}, Grants: []ir.Grant{{Name: ir.Name{Name: "g"}, Matches: matches, Ports: []ir.GrantPort{{Number: 80}},
			Sources: []ir.Source{{Identity: ir.Identity{Namespace: "shop", Account: "ann"}}}}}}
	artifacts, found = meshOf(translators.Target{}).workload(w)
	if made(t, artifacts); len(found) > 0 {
		t.Error(found)
	}
}

var subdomain = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// Whatever a label's value is, the Server that it names has a name that an API
// server takes: one that is refused leaves its port open.
func TestNamesAreTaken(t *testing.T) {
	label := rapid.StringMatching(`([A-Za-z0-9]([-A-Za-z0-9_.]{0,8}[A-Za-z0-9])?)?`)
	rapid.Check(t, func(t *rapid.T) {
		w := ir.Workload{Namespace: "shop", Account: "api.v1", Enforced: true, Ports: []ir.WorkloadPort{{Number: 8080, Protocol: ir.HTTP}},
			Pods: []ir.PodClass{{Labels: map[string]string{"app": label.Draw(t, "app"), "v": label.Draw(t, "v")}}}}
		artifacts, _ := meshOf(translators.Target{}).workload(w)
		if name := nameIn(artifacts[0]); len(artifacts) != 1 || !subdomain.MatchString(name) {
			t.Fatalf("labels %v give %q", w.Pods[0].Labels, name)
		}
	})
	if a, b := word("v1.2"), word("A_b"); a != "v1.2" || b != "a-b" {
		t.Errorf("%s %s", a, b)
	}
}
