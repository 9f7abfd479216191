package feature

import (
	"reflect"
	"slices"
	"testing"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// Every claim has the row that the table has for its use, also where many uses share
// their conditions, or all have others.
func TestClaimsHaveTheirRows(t *testing.T) {
	table := Table{{Feature: GatewayHost, Class: report.Exact}}
	kinds := []ir.MatchKind{ir.MatchExact, ir.MatchPrefix, ir.MatchSegments, ir.MatchSuffix, ir.MatchContains, ir.MatchRegex, ir.MatchAny}
	for _, f := range []Feature{RoutePath, RouteHeader, RouteQuery} {
		for _, c := range []Condition{CondEmptyValue, CondStarEdge, CondBrace, CondDoubleSlash, CondRepeatedName} {
			table = append(table, Row{Feature: f, When: []Condition{c}, Class: report.Relocated, Note: string(f) + " with " + string(c)})
		}
		for _, k := range kinds[:6] {
			table = append(table, Row{Feature: f, When: []Condition{Condition(k)}, Class: report.Exact, Note: string(f) + " by " + string(k)})
		}
		table = append(table, Row{Feature: f, When: []Condition{CondPresent}, Class: report.Exact, Note: string(f) + " present"})
	}
	var routes []ir.Route
	for range 2 {
		for _, k := range kinds {
			for _, v := range []string{"", "/a", "*a", "/{a}", "//a", "/*{a}//*"} {
				one, other := ir.StringMatch{Kind: k, Value: v}, ir.StringMatch{Kind: k, Value: "b"}
				routes = append(routes, ir.Route{Matches: []ir.Match{{
					Path: one, Methods: []string{"GET"},
					Headers: []ir.HeaderMatch{{Name: "h", Value: one}, {Name: "h", Value: other}, {Name: "i", Value: other}},
					Query:   []ir.QueryMatch{{Name: "q", Value: one}},
				}}})
			}
		}
	}
	unit := ir.Unit{VirtualHost: &ir.VirtualHost{Host: "a.example.com", Routes: routes}}
	verdict, uses := Check(unit, "mesh", table, nil), Uses(unit)
	if len(verdict.Uses) != len(uses) || len(uses) < 5*len(routes) {
		t.Fatalf("%d claims of %d uses of %d routes", len(verdict.Uses), len(uses), len(routes))
	}
	for i, c := range verdict.Uses {
		if !reflect.DeepEqual(c.Use, uses[i]) {
			t.Fatalf("claim %d is of %+v, want %+v", i, c.Use, uses[i])
		}
		want, ok := table.Find(c.Feature, c.Conditions)
		if !ok {
			want = Row{Feature: c.Feature, Class: report.Dropped, Note: "the back end's table has no row for this"}
		}
		if !reflect.DeepEqual(c.Row, want) {
			t.Errorf("%s %v has the row %+v, want %+v", c.Feature, c.Conditions, c.Row, want)
		}
	}
}

// What is said of a comparison is what its text shows, and is said in one list for all
// that are alike.
func TestConditionsOfComparisons(t *testing.T) {
	tests := []struct {
		kind  ir.MatchKind
		value string
		want  []Condition
	}{
		{ir.MatchAny, "", []Condition{CondPresent}},
		{ir.MatchAny, "*{//", []Condition{CondPresent}},
		{ir.MatchExact, "", []Condition{CondExact, CondEmptyValue}},
		{ir.MatchRegex, "", []Condition{CondRegex, CondEmptyValue}},
		{ir.MatchRegex, "*{//", []Condition{CondRegex}},
		{ir.MatchPrefix, "/a", []Condition{CondPrefix}},
		{ir.MatchSegments, "*/a", []Condition{CondSegments, CondStarEdge}},
		{ir.MatchSuffix, "/a*", []Condition{CondSuffix, CondStarEdge}},
		{ir.MatchContains, "/*/", []Condition{CondContains}},
		{ir.MatchExact, "/a}", []Condition{CondExact, CondBrace}},
		{ir.MatchExact, "//", []Condition{CondExact, CondDoubleSlash}},
		{ir.MatchPrefix, "*{a}//", []Condition{CondPrefix, CondStarEdge, CondBrace, CondDoubleSlash}},
	}
	s := said{base: []Condition{CondGateway}}
	for range 2 {
		for _, tt := range tests {
			m := ir.StringMatch{Kind: tt.kind, Value: tt.value}
			got, again := s.compared(m), s.compared(m)
			if !slices.Equal(got, append([]Condition{CondGateway}, tt.want...)) {
				t.Errorf("%s %q has %v, want %v behind the base", tt.kind, tt.value, got, tt.want)
			}
			if !shared(got, again) {
				t.Errorf("%s %q has two lists", tt.kind, tt.value)
			}
		}
	}
	if len(s.base) != 1 || len(s.lists) != 11 {
		t.Errorf("%d lists, want 11 beside a base of one", len(s.lists))
	}
}
