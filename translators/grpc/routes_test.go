package grpc_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/meshknot/meshknot/translators"
	backend "github.com/meshknot/meshknot/translators/grpc"
	"github.com/meshknot/meshknot/translators/ir"
)

// TestRoutes lets a real client take routes that answer by themselves, end calls
// after a time, or are those of its namespace.
func TestRoutes(t *testing.T) {
	m := newMesh(t)
	v1 := m.start("v1", m.bootstrap(reviews))
	options := map[string]string{}
	serves(options, v1)
	match := func(kind ir.MatchKind, value string) []ir.Match {
		return []ir.Match{{Path: ir.StringMatch{Kind: kind, Value: value}, Methods: []string{"POST"}}}
	}
	to := func(matches []ir.Match) ir.Route {
		return ir.Route{Name: "v1", Matches: matches, Backends: []ir.Backend{share("v1", 1, "")}}
	}
	status := func(code int) ir.Route { return ir.Route{Name: "status", Matches: []ir.Match{all}, Status: code} }
	timed := func(request, attempt time.Duration) ir.Route {
		r := to([]ir.Match{all})
		r.Timeout = &ir.Timeout{Request: request, Backend: attempt}
		return r
	}
	queried := to(match(ir.MatchAny, ""))
	queried.Matches[0].Query = []ir.QueryMatch{{Name: "a", Value: ir.StringMatch{Kind: ir.MatchExact, Value: "1"}}}
	slow := []string{"x-sleep", "700ms"}
	cases := []struct {
		name   string
		routes []ir.Route
		views  []ir.View
		say    []string
		want   string
	}{
		{"unmatched", []ir.Route{to(match(ir.MatchExact, "/grpc.testing.TestService/EmptyCall")), status(404)}, nil, nil, "Unimplemented"},
		{"nowhere", []ir.Route{status(500)}, nil, nil, "Unknown"},
		{"a whole service", []ir.Route{to(match(ir.MatchSegments, "/grpc.testing.TestService")), status(404)}, nil, nil, "v1"},
		{"no whole service", []ir.Route{to(match(ir.MatchSegments, "/grpc.testing.Test")), status(404)}, nil, nil, "Unimplemented"},
		{"one method by segments", []ir.Route{to(match(ir.MatchSegments, unary)), status(404)}, nil, nil, "v1"},
		{"a query holds for no call", []ir.Route{queried, status(404)}, nil, nil, "Unimplemented"},
		{"in time", []ir.Route{timed(5*time.Second, 0)}, nil, slow, "v1"},
		{"too late", []ir.Route{timed(200*time.Millisecond, 0)}, nil, slow, "DeadlineExceeded"},
		{"too late for an attempt", []ir.Route{timed(0, 200*time.Millisecond)}, nil, slow, "DeadlineExceeded"},
		{"too late for the shorter", []ir.Route{timed(5*time.Second, 200*time.Millisecond)}, nil, slow, "DeadlineExceeded"},
		{"a view", []ir.Route{status(404)}, []ir.View{{Namespace: "shop", Routes: []ir.Route{to([]ir.Match{all})}}}, nil, "v1"},
		{"a view of others", []ir.Route{status(404)}, []ir.View{{Namespace: "bank", Routes: []ir.Route{to([]ir.Match{all})}}}, nil, "Unimplemented"},
	}
	units := []ir.Unit{{Mesh: &ir.Mesh{}}, service("v1"), endpoint("v1", v1, true),
		{Workload: &ir.Workload{Namespace: "shop", Account: "reviews", Ports: []ir.WorkloadPort{{Number: v1, Protocol: ir.GRPC}}}}}
	for i, c := range cases {
		units = append(units, endpoint(fmt.Sprintf("root-%d", i), v1, true), ir.Unit{Service: &ir.Service{Namespace: "shop", Name: fmt.Sprintf("root-%d", i),
			Ports: []ir.Port{{Number: 80, Protocol: ir.GRPC, Routes: c.routes, Views: c.views}}}})
	}
	m.serve("1", options, units...)
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := call(m.client(web, fmt.Sprintf("root-%d.shop:80", i)), c.say...); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// What clients refuse, or take for something else, is never sent, whoever should
// have taken it out before.
func TestNothingThatClientsRefuse(t *testing.T) {
	segments := ir.Match{Path: ir.StringMatch{Kind: ir.MatchSegments, Value: "/a"}, Methods: []string{ir.AnyMethod}}
	query := segments
	query.Query = []ir.QueryMatch{{Name: "q", Value: ir.StringMatch{Kind: ir.MatchAny}}}
	s := ir.Service{Namespace: "shop", Name: "root", Ports: []ir.Port{{Number: 80, Protocol: ir.GRPC, Routes: []ir.Route{
		{Name: "redirect", Matches: []ir.Match{segments}, Redirect: &ir.Redirect{Status: 302, Host: "b"}},
		{Name: "status", Matches: []ir.Match{segments}, Status: 404},
		{Name: "query", Matches: []ir.Match{query}, Backends: []ir.Backend{share("v1", 1, "")}}}}}}
	out, _ := backend.New().Translate(ir.Unit{Service: &s}, translators.Target{})
	for _, a := range out {
		for _, word := range []string{"direct_response", "redirect:{", "path_separated_prefix", "query_parameters"} {
			if text := strings.ReplaceAll(fmt.Sprint(a.Payload), ": ", ":"); strings.Contains(text, word) {
				t.Errorf("%s says %s: %s", a.ID.Name, word, text)
			}
		}
	}
}
