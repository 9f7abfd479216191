package istio_test

import (
	"maps"
	"regexp"
	"slices"
	"testing"

	"github.com/meshknot/meshknot/test/golden"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/interpret/istio"
	backend "github.com/meshknot/meshknot/translators/istio"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/verify"
)

func load(t *testing.T) []golden.Case {
	t.Helper()
	cases, err := golden.Load("../../../test/cases")
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

// Every request of every case is decided as it is meant to be, or as the table
// says that it is not: by proxies of either kind, whatever the mesh is called.
func TestCases(t *testing.T) {
	targets := []translators.Target{
		{}, {Version: "1.26"},
		{TrustDomain: "mesh.example", Options: map[string]string{"cluster-domain": "example.org"}},
		{Options: map[string]string{"root-namespace": "shop"}},
	}
	for _, c := range load(t) {
		run := golden.Do(c)
		for _, target := range targets {
			target.Backend = "istio"
			var pieces []translators.Piece
			for _, u := range run.Units {
				pieces = append(pieces, translators.Translate(u, backend.New(), target, c.Waivers))
			}
			out := translators.Assemble(backend.New(), target, pieces, c.Waivers)
			if out.Withheld {
				continue
			}
			found, err := verify.Check(interpret.WorldOf(run.Units), istio.New, out, pieces)
			if err != nil {
				t.Errorf("%s, %v: %v", c.Name, target, err)
			}
			for _, d := range found.Differences {
				// In the root namespace a selector catches pods of every namespace, which is reported
				// as an error at the workload that does.
				caught := target.Options["root-namespace"] != "" && d.Effect == report.Denies
				if d.Shown == nil && !caught {
					t.Errorf("%s, %v: %s: %s: %s by %v", c.Name, target, d.Unit, d.Request, d.Difference, d.By)
				}
			}
		}
	}
}

// idle are the fields that decide nothing that is asked here, and why.
var idle = map[string]string{
	"metadata.annotations.*":               "for people",
	"metadata.labels.*":                    "for people",
	"spec.exportTo":                        "unset means everywhere too",
	"spec.gateways":                        "unset means every sidecar too",
	"spec.http.name":                       "for people",
	"spec.http.retries.attempts":           "how often a call is tried again is not decided",
	"spec.http.match.authority.exact":      "without it any host will do, and a request for another host comes to no route",
	"spec.http.match.queryParams.*.regex":  "its one case has another parameter beside it, and what just misses misses both",
	"spec.http.match.queryParams.*.prefix": "what just misses a prefix begins with it too",
	"spec.tcp.match.port":                  "no case routes the TCP ports of one Service differently",
	"spec.action":                          "unset means ALLOW too",
	"spec.mtls.mode":                       "who proves no identity is allowed by no policy beside it either",
}

// named are the fields below which names stand.
var named = regexp.MustCompile(`(^metadata\.labels|^metadata\.annotations|matchLabels)\..*|(match\.headers|queryParams|\.set|\.add)\.[^.]+`)

// field is a field, whatever the names in it are.
func field(f string) string { return named.ReplaceAllString(f, "$1$2.*") }

// What is left out of an object is noticed, of every field that decides anything.
func TestRemovals(t *testing.T) {
	noticed, tried, err := golden.Noticed(load(t), "istio", istio.New, 25, 1)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for r := range tried {
		seen[field(r.Field)] += noticed[r]
	}
	for _, f := range slices.Sorted(maps.Keys(seen)) {
		switch why, ok := idle[f]; {
		case !ok && seen[f] == 0:
			t.Errorf("%s: nobody notices that it is missing", f)
		case ok && seen[f] > 0:
			t.Errorf("%s: it is said to decide nothing (%s), and does", f, why)
		}
	}
	for f := range idle {
		if _, ok := seen[f]; !ok {
			t.Errorf("%s: there is no such field", f)
		}
	}
}
