package feature

import (
	"reflect"
	"testing"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

func ref(field string) report.Ref {
	return report.Ref{Kind: "TrafficTarget", Namespace: "shop", Name: "web", Field: field}
}

// workload has one grant: two sources, two ports, two matches.
func workload() ir.Unit {
	prefix := ir.Match{Name: "p", Path: ir.StringMatch{Kind: ir.MatchPrefix, Value: "/a"}, PathRef: ref("p"), Methods: []string{ir.AnyMethod}}
	regex := ir.Match{Name: "r", Path: ir.StringMatch{Kind: ir.MatchRegex, Value: "/[0-9]+"}, PathRef: ref("r"), Methods: []string{ir.AnyMethod}}
	return ir.Unit{Workload: &ir.Workload{
		Namespace: "shop", Account: "reviews", Ref: ref("destination"), Enforced: true,
		Pods:  []ir.PodClass{{Labels: map[string]string{"app": "reviews"}}},
		Ports: []ir.WorkloadPort{{Number: 80, Protocol: ir.HTTP}, {Number: 81, Protocol: ir.HTTP}},
		Grants: []ir.Grant{{
			Name: ir.Name{Namespace: "shop", Name: "web"}, Ref: ref(""),
			Sources: []ir.Source{{Identity: ir.Identity{Namespace: "shop", Account: "web"}, Ref: ref("s0")}, {Identity: ir.Identity{SPIFFE: "spiffe://x/y"}, Ref: ref("s1")}},
			Ports:   []ir.GrantPort{{Number: 80, Ref: ref("80")}, {Number: 81, Ref: ref("81"), Also: []ir.ServicePort{{Port: 1}}}},
			Matches: []ir.Match{prefix, regex},
		}},
	}}
}

// rows is a table in which everything is exact but what is given first.
func rows(first ...Row) Table {
	t := Table(first)
	for _, s := range Specs() {
		t = append(t, Row{Feature: s.Feature, Class: report.Exact})
	}
	return t
}

func TestCheckTakesOutTheSmallestNode(t *testing.T) {
	tests := []struct {
		name                    string
		row                     Row
		sources, ports, matches int
	}{
		{"nothing", Row{Feature: AccessPath, When: []Condition{CondSuffix}, Class: report.Dropped}, 2, 2, 2},
		{"a match", Row{Feature: AccessPath, When: []Condition{CondRegex}, Class: report.Dropped}, 2, 2, 1},
		{"a source", Row{Feature: AccessSource, When: []Condition{CondForeignIdentity}, Class: report.Widened}, 1, 2, 2},
		{"a port", Row{Feature: AccessPort, When: []Condition{CondSharedTargetPort}, Class: report.Widened}, 2, 1, 2},
		{"narrowed stays", Row{Feature: AccessPath, Class: report.Narrowed}, 2, 2, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := workload()
			v := Check(u, "x", rows(tt.row), nil)
			g := v.Unit.Workload.Grants[0]
			if len(g.Sources) != tt.sources || len(g.Ports) != tt.ports || len(g.Matches) != tt.matches {
				t.Errorf("left are %d sources, %d ports, %d matches", len(g.Sources), len(g.Ports), len(g.Matches))
			}
			if !reflect.DeepEqual(u, workload()) {
				t.Error("the unit that was given has changed")
			}
			if v.Withheld {
				t.Error("the output is withheld")
			}
		})
	}
}

func TestCheckKeepsTheDeny(t *testing.T) {
	v := Check(workload(), "x", rows(Row{Feature: AccessPath, Class: report.Dropped}), nil)
	w := v.Unit.Workload
	if len(w.Grants) != 0 || !w.Enforced {
		t.Errorf("want no grant and the deny, got %+v", w)
	}
	for _, f := range v.Findings {
		if f.Code != report.Refused || f.Severity != report.Error || f.Class != report.Dropped {
			t.Errorf("unexpected finding %+v", f)
		}
	}
	if len(v.Findings) != 2 {
		t.Errorf("want a finding for each match, got %d", len(v.Findings))
	}
}

func TestCheckWithholds(t *testing.T) {
	u := workload()
	u.Workload.Pods = nil
	row := Row{Feature: DefaultDeny, When: []Condition{CondPodsUnknown}, Class: report.Dropped}
	waiver := Waiver{report.Withheld, report.Ref{Kind: "TrafficTarget", Namespace: "shop", Name: "web"}, "no"}
	if v := Check(u, "x", rows(row), []Waiver{waiver}); !v.Withheld || v.Findings.Worst(report.Error) != 1 {
		t.Error("a deny that cannot be said must withhold the output, whatever is waived")
	}
}

func TestPodsWithoutLabelsCannotBeSelected(t *testing.T) {
	u := workload()
	u.Workload.Pods[0].Labels = nil
	v := Check(u, "x", rows(Row{Feature: AccessSelector, When: []Condition{CondSelectorCatches}, Class: report.Widened}), nil)
	if len(v.Unit.Workload.Grants) != 0 || v.Findings.Worst(report.Error) == 0 {
		t.Error("a selector without labels would grant for every pod of the namespace")
	}
}

func TestWaivers(t *testing.T) {
	row := Row{Feature: AccessPort, When: []Condition{CondSharedTargetPort}, Class: report.Widened}
	waiver := Waiver{report.Refused, report.Ref{Kind: "TrafficTarget", Namespace: "shop", Name: "web"}, "known"}
	v := Check(workload(), "x", rows(row), []Waiver{waiver})
	if len(v.Unit.Workload.Grants[0].Ports) != 2 || v.Findings.Worst(report.Error) != 0 || v.Findings[0].Waived != "known" {
		t.Errorf("a waived widening goes through and is told: %+v", v.Findings)
	}
	dropped := Check(workload(), "x", rows(Row{Feature: AccessPath, When: []Condition{CondRegex}, Class: report.Dropped}), []Waiver{waiver})
	if len(dropped.Unit.Workload.Grants[0].Matches) != 1 || dropped.Findings.Worst(report.Error) != 0 {
		t.Error("a waiver cannot make sayable what is not")
	}
	other := Waiver{report.Refused, report.Ref{Kind: "TrafficTarget", Namespace: "shop", Name: "other"}, "x"}
	if v := Check(workload(), "x", rows(row), []Waiver{other}); v.Findings.Worst(report.Error) != 1 {
		t.Error("a waiver for another object must not help")
	}
	if got := Unused([]Waiver{waiver, other}, v.Findings); len(got) != 1 || got[0].Object.Name != "other" {
		t.Errorf("unused waivers: %v", got)
	}
}

func TestMissingRowFailsClosed(t *testing.T) {
	v := Check(workload(), "x", nil, nil)
	if !v.Withheld || len(v.Unit.Workload.Grants) != 0 {
		t.Error("a table without rows must refuse everything")
	}
}

func TestParseWaiver(t *testing.T) {
	w, err := ParseWaiver("MK3002=TrafficTarget/shop/web: until the mesh can")
	if err != nil || w.Code != report.Refused || w.Object.Name != "web" || w.Reason != " until the mesh can" {
		t.Errorf("%+v %v", w, err)
	}
	for _, bad := range []string{"", "MK3002", "MK3002=x/y", "=a/b/c"} {
		if _, err := ParseWaiver(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}
