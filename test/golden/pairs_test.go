package golden

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// pairsFile records for every pair of features the case that has both, and what
// each back end makes of the two there.
const pairsFile = "pairs.txt"

// apart are the features that no route can have together.
var apart = []struct {
	one, others []feature.Feature
	why         string
}{
	{[]feature.Feature{feature.RouteRedirect, feature.RouteStatus},
		[]feature.Feature{feature.RouteSplit, feature.RouteBackend, feature.RouteInvalidBackend, feature.RouteRewrite, feature.RouteMirror,
			feature.RouteTimeout, feature.RouteRedirect, feature.RouteStatus, feature.RouteHeaderEdit},
		"a route that answers by itself has no backends"},
	{[]feature.Feature{feature.AccessWhole}, []feature.Feature{feature.AccessPath, feature.AccessMethod, feature.AccessHeader},
		"what allows everything looks at nothing"},
	{[]feature.Feature{feature.RouteView}, []feature.Feature{feature.GatewayPort, feature.GatewayHost},
		"callers of a Gateway are in no namespace"},
}

func exclusive(a, b feature.Feature) (string, bool) {
	for _, e := range apart {
		if slices.Contains(e.one, a) && slices.Contains(e.others, b) || slices.Contains(e.one, b) && slices.Contains(e.others, a) {
			return e.why, true
		}
	}
	return "", false
}

// Every pair of features needs a case that has both: in one route, or in one
// grant, or where one is of callers and the other of servers, in one case. What
// each back end makes of the pair is on record, refusals too.
func TestPairs(t *testing.T) {
	cases := load(t)
	slices.SortStableFunc(cases, func(a, b Case) int { // those about calls within the mesh say more
		return gateways(a) - gateways(b)
	})
	var specs []feature.Spec
	for _, s := range feature.Specs() {
		if !s.Implicit() {
			specs = append(specs, s)
		}
	}
	var b strings.Builder
	for i, x := range specs {
		for _, y := range specs[i+1:] {
			pair := fmt.Sprintf("%s + %s: ", x.Feature, y.Feature)
			if why, ok := exclusive(x.Feature, y.Feature); ok {
				fmt.Fprintf(&b, "%sapart, %s\n", pair, why)
				continue
			}
			c, found := both(cases, x, y)
			if !found {
				t.Errorf("%sno case has both", pair)
				continue
			}
			fmt.Fprintf(&b, "%s%s%s\n", pair, c.Name, outcomes(c, x.Feature, y.Feature))
		}
	}
	if *update {
		if err := os.WriteFile(pairsFile, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(pairsFile)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("%s (-want +got):\n%s", pairsFile, d)
	}
}

func both(cases []Case, x, y feature.Spec) (Case, bool) {
	for _, c := range cases {
		if x.Unit == y.Unit || routed(x.Unit) && routed(y.Unit) {
			for _, u := range runs(c).Units {
				for _, part := range parts(u) {
					if uses(part, x.Feature) && uses(part, y.Feature) {
						return c, true
					}
				}
			}
			continue
		}
		has := func(s feature.Spec) bool {
			return slices.ContainsFunc(runs(c).Units, func(u ir.Unit) bool { return uses(u, s.Feature) })
		}
		if has(x) && has(y) {
			return c, true
		}
	}
	return Case{}, false
}

// gateways is 1 for a case that has a Gateway's host, else 0.
func gateways(c Case) int {
	if slices.ContainsFunc(runs(c).Units, func(u ir.Unit) bool { return u.VirtualHost != nil }) {
		return 1
	}
	return 0
}

func routed(k ir.UnitKind) bool { return k == ir.KindService || k == ir.KindVirtualHost }

func uses(u ir.Unit, f feature.Feature) bool {
	return slices.ContainsFunc(feature.Uses(u), func(use feature.Use) bool { return use.Feature == f })
}

// parts takes a unit apart into units of one route, or of one grant.
func parts(u ir.Unit) []ir.Unit {
	var out []ir.Unit
	switch {
	case u.Service != nil:
		for _, p := range u.Service.Ports {
			port := func(q ir.Port) {
				s := *u.Service
				s.Ports = []ir.Port{q}
				out = append(out, ir.Unit{Service: &s})
			}
			for _, r := range p.Routes {
				q := p
				q.Routes, q.Views = []ir.Route{r}, nil
				port(q)
			}
			for _, v := range p.Views {
				for _, r := range v.Routes {
					q := p
					q.Routes, q.Views = nil, []ir.View{{Namespace: v.Namespace, Routes: []ir.Route{r}}}
					port(q)
				}
			}
		}
	case u.VirtualHost != nil:
		for _, r := range u.VirtualHost.Routes {
			v := *u.VirtualHost
			v.Routes = []ir.Route{r}
			out = append(out, ir.Unit{VirtualHost: &v})
		}
	case u.Workload != nil:
		for _, g := range u.Workload.Grants {
			w := *u.Workload
			w.Grants = []ir.Grant{g}
			out = append(out, ir.Unit{Workload: &w})
		}
	default:
		out = append(out, u)
	}
	return out
}

// outcomes says what each back end makes of two features of a case.
func outcomes(c Case, features ...feature.Feature) string {
	var b strings.Builder
	for _, target := range Targets(c) {
		backend, _ := all.Pipeline().Backend(target.Backend)
		fmt.Fprintf(&b, " | %s", target.Backend)
		for _, f := range features {
			fmt.Fprintf(&b, " %s", worst(c, backend, target, f))
		}
	}
	return b.String()
}

// worst is the worst class of a feature's uses. One that is not even looked at,
// for what it stands in is dropped, is dropped with it.
func worst(c Case, b translators.Backend, target translators.Target, f feature.Feature) report.Class {
	out, asked := report.Exact, false
	for _, u := range runs(c).Units {
		for _, claim := range feature.Check(u, b.Name(), b.Supports(target), c.Waivers).Uses {
			if claim.Feature != f {
				continue
			}
			if asked = true; claim.Row.Class.Worse(out) {
				out = claim.Row.Class
			}
		}
	}
	if !asked {
		return report.Dropped
	}
	return out
}
