package istio

import (
	"testing"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// Where proxies join the lines of a repeated header, a grant for a value with a
// comma would hold for several lines that are none of them that value.
func TestJoinedHeaders(t *testing.T) {
	w := ir.Workload{Namespace: "shop", Account: "reviews", Enforced: true, Pods: []ir.PodClass{{Labels: map[string]string{"app": "reviews"}}},
		Grants: []ir.Grant{{Name: ir.Name{Namespace: "shop", Name: "main"}, Ports: []ir.GrantPort{{Number: 9080}},
			Sources: []ir.Source{{Identity: ir.Identity{Namespace: "shop", Account: "web"}}},
			Matches: []ir.Match{header("x-list", ir.MatchExact, "a,b"), header("x-list", ir.MatchExact, "a"), header("accept", ir.MatchExact, "a,b")}}}}
	for version, want := range map[string]int{"": 2, "1.31": 2, "1.26": 1} { // "accept" every Envoy joins
		m := meshOf(translators.Target{Version: version})
		granted, found := m.granted(w)
		if len(granted) != 1 || len(granted[0].rules) != want || len(found) != 3-want {
			t.Errorf("version %q: %v, %v; want %d rules", version, granted, found, want)
		}
		for _, f := range found {
			if f.Code != report.Refused || f.Class != report.Dropped {
				t.Errorf("version %q: %v", version, f)
			}
		}
	}
	if len(w.Grants[0].Matches) != 3 {
		t.Error("the workload was changed")
	}
}
