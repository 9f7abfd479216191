package istio

import (
	"slices"
	"testing"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

func targets() []translators.Target {
	out := []translators.Target{{}}
	for _, v := range New().Versions() {
		out = append(out, translators.Target{Version: v})
	}
	return out
}

func TestEveryFeatureHasARow(t *testing.T) {
	for _, target := range targets() {
		table := New().Supports(target)
		for _, s := range feature.Specs() {
			if _, ok := table.Find(s.Feature, nil); !ok {
				t.Errorf("%s: no row for %s that always holds", target.Version, s.Feature)
			}
		}
	}
}

func TestRows(t *testing.T) {
	for _, target := range targets() {
		table := New().Supports(target)
		for _, r := range table {
			conditions := feature.SpecOf(r.Feature).Conditions
			for _, c := range r.When {
				if !slices.Contains(conditions, c) {
					t.Errorf("%s %v: %s never carries %s", r.Feature, r.When, r.Feature, c)
				}
			}
			if got, _ := table.Find(r.Feature, r.When); !slices.Equal(got.When, r.When) {
				t.Errorf("%s %v is hidden behind %v", r.Feature, r.When, got.When)
			}
			if r.Class != report.Exact && r.Note == "" {
				t.Errorf("%s %v: %s without a note", r.Feature, r.When, r.Class)
			}
			if proven := report.Dropped.Worse(r.Class); proven != (r.Case != "") {
				t.Errorf("%s %v: %s with case %q", r.Feature, r.When, r.Class, r.Case)
			}
		}
	}
}

func TestClasses(t *testing.T) {
	tests := []struct {
		name       string
		version    string
		feature    feature.Feature
		conditions []feature.Condition
		want       report.Class
	}{
		{"a star in an identity", "", feature.AccessSource, []feature.Condition{feature.CondForeignIdentity, feature.CondStarEdge}, report.Dropped},
		{"a foreign identity", "", feature.AccessSource, []feature.Condition{feature.CondForeignIdentity}, report.Exact},
		{"two conditions on a header, routed", "", feature.RouteHeader, []feature.Condition{feature.CondExact, feature.CondRepeatedName}, report.Dropped},
		{"two conditions on a header, allowed", "", feature.AccessHeader, []feature.Condition{feature.CondExact, feature.CondRepeatedName}, report.Exact},
		{"a header that proxies write, routed", "", feature.RouteHeader, []feature.Condition{feature.CondExact, feature.CondReservedHeader}, report.Dropped},
		{"UDP, routed", "", feature.RouteSplit, []feature.Condition{feature.CondUDP}, report.Dropped},
		{"TLS, split", "", feature.RouteSplit, []feature.Condition{feature.CondTCP, feature.CondTLS}, report.Dropped},
		{"TLS, to another Service", "", feature.RouteBackend, []feature.Condition{feature.CondTCP, feature.CondTLS}, report.Dropped},
		{"TCP, split", "", feature.RouteSplit, []feature.Condition{feature.CondTCP}, report.Exact},
		{"retries on TCP", "", feature.Retries, []feature.Condition{feature.CondTCP}, report.Exact},
		{"retries on HTTP", "", feature.Retries, []feature.Condition{feature.CondPlainHTTP}, report.Approximated},
		{"paths without a condition on one", "", feature.PathNormalisation, nil, report.Exact},
		{"paths with a condition on one", "", feature.PathNormalisation, []feature.Condition{feature.CondPathCondition}, report.Narrowed},
		{"probes", "", feature.Probes, []feature.Condition{feature.CondPresent}, report.Relocated},
		{"newest: lines compared alone", "", feature.AccessHeader, []feature.Condition{feature.CondExact}, report.Exact},
		{"1.31: lines compared alone", "1.31", feature.RouteHeader, []feature.Condition{feature.CondExact}, report.Exact},
		{"1.26: lines joined", "1.26", feature.AccessHeader, []feature.Condition{feature.CondExact}, report.Narrowed},
		{"1.26: lines joined, in routes", "1.26", feature.RouteHeader, []feature.Condition{feature.CondPrefix}, report.Approximated},
		{"1.26: presence is presence", "1.26", feature.AccessHeader, []feature.Condition{feature.CondPresent}, report.Exact},
		{"1.26: what cannot be said comes first", "1.26", feature.AccessHeader, []feature.Condition{feature.CondRegex}, report.Dropped},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			row, _ := New().Supports(translators.Target{Version: tt.version}).Find(tt.feature, tt.conditions)
			if row.Class != tt.want {
				t.Errorf("got %s, want %s", row.Class, tt.want)
			}
		})
	}
}

func TestRefusal(t *testing.T) {
	shared := func(w *ir.Workload) {
		w.Grants[0].Ports[0].Also = []ir.ServicePort{{Service: ir.Name{Namespace: "shop", Name: "admin"}, Port: 81}}
	}
	tests := []struct {
		name     string
		mutate   func(*ir.Workload)
		withheld bool
		grants   int          // policies that grant
		want     report.Class // that some finding has; empty: not asked
	}{
		{"nothing to refuse", func(*ir.Workload) {}, false, 1, ""},
		{"pods unknown", func(w *ir.Workload) { w.Pods = nil }, true, 0, report.Dropped},
		{"pods unknown, the namespace denies", func(w *ir.Workload) { w.Pods, w.NamespaceDenies = nil, true }, false, 0, report.Relocated},
		{"selector catches others", func(w *ir.Workload) { w.Pods[0].AlsoCatches = []string{"admin"} }, false, 0, report.Widened},
		{"shared target port", shared, false, 0, report.Widened},
		{"UDP port", func(w *ir.Workload) { w.Ports[1].Protocol = ir.UDP }, true, 1, report.Widened},
		{"two slashes", func(w *ir.Workload) { w.Grants[0].Matches[0].Path.Value = "/a//b" }, false, 0, report.Widened},
		{"a pseudo header", func(w *ir.Workload) { w.Grants[0].Matches = []ir.Match{header(":path", ir.MatchExact, "/a")} }, false, 0, report.Dropped},
		{"one match of two", func(w *ir.Workload) {
			w.Grants[0].Matches = append(w.Grants[0].Matches, path(ir.MatchRegex, "/[0-9]+"))
		}, false, 1, report.Dropped},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := bookstore(grant([]int32{8080}, path(ir.MatchExact, "/a")))
			tt.mutate(&w)
			out, v := checked(t, ir.Unit{Workload: &w}, translators.Target{})
			if v.Withheld != tt.withheld {
				t.Errorf("withheld %v", v.Withheld)
			}
			if got := len(specs(out, "AuthorizationPolicy")) - len(w.Pods); got != tt.grants {
				t.Errorf("%d policies grant, want %d", got, tt.grants)
			}
			if tt.want != "" && !slices.ContainsFunc(v.Findings, func(f report.Finding) bool { return f.Class == tt.want }) {
				t.Errorf("no finding is %s: %v", tt.want, v.Findings)
			}
		})
	}
}

// What is widened and waived is said as it was asked for.
func TestWaived(t *testing.T) {
	w := bookstore(grant([]int32{8080}, path(ir.MatchExact, "/a//b")))
	at := ref("HTTPRouteGroup", "books", "spec.matches[0].pathRegex")
	w.Grants[0].Matches[0].PathRef = at
	waiver := feature.Waiver{Code: report.Refused, Object: at.Object(), Reason: "the server refuses it"}
	v := feature.Check(ir.Unit{Workload: &w}, "istio", New().Supports(translators.Target{}), []feature.Waiver{waiver})
	out, _ := made(t, v.Unit, translators.Target{})
	same(t, specs(out, "AuthorizationPolicy")[1].(object)["rules"], `[{from: `+web+`, to: [{operation: {ports: ["8080"], paths: ["/a//b"]}}]}]`)
}

// Istio ignores the TCP routes of a port that is declared as TLS, so none are made.
func TestTLSPort(t *testing.T) {
	s := reviews(443, ir.TCP, route("s", []ir.Match{all()}, to("v1", 443, 1), to("v2", 443, 1)))
	s.Ports[0].TLS = true
	out, v := checked(t, ir.Unit{Service: &s}, translators.Target{})
	if len(out) > 0 || !slices.Contains(codes(v.Findings), report.Lossy) {
		t.Errorf("made %v, findings %v", names(out), v.Findings)
	}
}

func TestBackend(t *testing.T) {
	if b := New(); b.Name() != "istio" || !slices.Equal(b.Versions(), []string{"1.31", "1.26"}) {
		t.Errorf("%s %v", b.Name(), b.Versions())
	}
}
