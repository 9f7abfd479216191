package linkerd

import (
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

func regex(expr string) ir.StringMatch { return ir.StringMatch{Kind: ir.MatchRegex, Value: expr} }

// What would take too many states is not known, and never taken for something.
func TestTooManyStates(t *testing.T) {
	if _, ok := languageOf(regex("/(?:.*a.{12})")); ok {
		t.Error("an automaton of thousands of states was built")
	}
	if _, ok := languageOf(regex("/(?:.*a.{3})")); !ok {
		t.Error("one of a few states was not")
	}
}

func routedTo(name string, path ir.StringMatch, methods ...string) ir.Route {
	if len(methods) == 0 {
		methods = []string{ir.AnyMethod}
	}
	return ir.Route{Name: name, Ref: report.Ref{Kind: "HTTPRoute", Name: name}, Matches: []ir.Match{{Path: path, Methods: methods}},
		Backends: []ir.Backend{{Service: ir.Name{Namespace: "shop", Name: name}, Port: 80, Weight: 1}}}
}

func saidOf(t *testing.T, routes ...ir.Route) report.Report {
	t.Helper()
	routes = append(routes, ir.Route{Name: "unmatched", Status: 404, Matches: []ir.Match{ir.MatchAll(report.Ref{})}})
	s := ir.Service{Namespace: "shop", Name: "web", Ports: []ir.Port{{Number: 80, Protocol: ir.HTTP, Routes: routes}}}
	artifacts, found := backend{}.Translate(ir.Unit{Service: &s}, translators.Target{})
	if len(artifacts) == 0 {
		t.Fatal("nothing is made")
	}
	return found
}

// Where the later match would be chosen, and it is too large to be compared with
// the earlier one, that is said; where it is not too large, nothing is.
func TestOrderThatIsNotKnown(t *testing.T) {
	below := ir.StringMatch{Kind: ir.MatchSegments, Value: "/x"}
	large := saidOf(t, routedTo("a", below), routedTo("b", regex("/x.*a.{12}")))
	if len(large) == 0 || !strings.Contains(large[0].Message, "may go its way") || len(large[0].Related) == 0 {
		t.Errorf("%v", large)
	}
	if small := saidOf(t, routedTo("a", below), routedTo("b", regex("/x.*a.{2}"))); len(small) > 0 {
		t.Errorf("%v", small)
	}
}

// A method that Gateway API has no word for is left out, and said to be.
func TestMethodWithoutAWord(t *testing.T) {
	found := saidOf(t, routedTo("a", ir.StringMatch{Kind: ir.MatchExact, Value: "/a"}, "PURGE", "GET"))
	if len(found) != 1 || !strings.Contains(found[0].Message, "PURGE") {
		t.Errorf("%v", found)
	}
}
