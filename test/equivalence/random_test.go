package equivalence

import (
	"bytes"
	"testing"

	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// TestRandom holds the generator to what it is for: the same seed makes the same
// policies, all of them can be read, and every kind of thing comes up.
func TestRandom(t *testing.T) {
	made := map[string]int{}
	for n := range uint64(150) {
		s := Random(7, n)
		if !bytes.Equal(s.Files[0].Data, Random(7, n).Files[0].Data) {
			t.Fatalf("%s: two policies", s.Name)
		}
		set, found := input.ReadFiles(s.Files, input.Options{Schemas: all.Pipeline().Schemas()})
		for _, f := range found {
			if f.Severity == report.Error {
				t.Errorf("%s: %s: %s", s.Name, f.Source, f.Message)
			}
		}
		if len(set.Rejected) > 0 {
			t.Errorf("%s: %v is not valid\n%s", s.Name, set.Rejected[0].ID, s.Files[0].Data)
		}
		for _, o := range set.Objects {
			made[o.Kind]++
		}
		for _, u := range s.Units() {
			count(made, u)
		}
	}
	for _, k := range []string{"TrafficSplit", "TrafficTarget", "HTTPRouteGroup", "TCPRoute", "HTTPRoute", "grant", "grants of one workload",
		"sources of one grant", "split", "split by condition", "invalid backend", "answer", "view", "rewrite", "edit", "TCP", "GRPC", "shared port", "namespace"} {
		if made[k] < 5 {
			t.Errorf("%s: %d in 150 policies", k, made[k])
		}
	}
}

func count(made map[string]int, u ir.Unit) {
	if u.Namespace != nil {
		made["namespace"]++
	}
	if w := u.Workload; w != nil {
		made["grant"] += len(w.Grants)
		if len(w.Grants) > 1 {
			made["grants of one workload"]++
		}
		for _, g := range w.Grants {
			if len(g.Sources) > 1 {
				made["sources of one grant"]++
			}
		}
		for _, p := range w.Ports {
			if made[string(p.Protocol)]++; len(p.Services) > 1 {
				made["shared port"]++
			}
		}
	}
	if u.Service == nil {
		return
	}
	for _, p := range u.Service.Ports {
		made["view"] += len(p.Views)
		for _, r := range p.AllRoutes() {
			switch {
			case r.Answers():
				made["answer"]++
			case r.Rewrite != nil:
				made["rewrite"]++
			case r.RequestHeaders != nil || r.ResponseHeaders != nil:
				made["edit"]++
			case len(r.Backends) > 1 && r.MatchesAll():
				made["split"]++
			case len(r.Backends) > 1:
				made["split by condition"]++
			}
			for _, b := range r.Backends {
				if b.Invalid != "" {
					made["invalid backend"]++
				}
			}
		}
	}
}
