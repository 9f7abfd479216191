package xds

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// text renders a message without the random spaces of protojson.
func text(t *testing.T, m proto.Message) string {
	t.Helper()
	b, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := json.Compact(&out, b); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestRouteMatch(t *testing.T) {
	get := func(kind ir.MatchKind, value string) ir.Match {
		return ir.Match{Path: ir.StringMatch{Kind: kind, Value: value}, Methods: []string{ir.AnyMethod}}
	}
	header := func(name string, kind ir.MatchKind, value string) ir.Match {
		m := get(ir.MatchAny, "")
		m.Headers = []ir.HeaderMatch{{Name: name, Value: ir.StringMatch{Kind: kind, Value: value}}}
		return m
	}
	query := func(kind ir.MatchKind, value string) ir.Match {
		m := get(ir.MatchAny, "")
		m.Query = []ir.QueryMatch{{Name: "q", Value: ir.StringMatch{Kind: kind, Value: value}}}
		return m
	}
	methods := get(ir.MatchAny, "")
	methods.Methods = []string{"PUT", "GET"}
	for _, c := range []struct {
		name  string
		match ir.Match
		want  string
	}{
		{"everything", ir.MatchAll(report.Ref{}), `{"prefix":""}`},
		{"exact", get(ir.MatchExact, "/a.b"), `{"path":"/a.b"}`},
		{"prefix", get(ir.MatchPrefix, "/a.b"), `{"prefix":"/a.b"}`},
		{"suffix", get(ir.MatchSuffix, ".b"), `{"safeRegex":{"regex":".*\\.b"}}`},
		{"contains", get(ir.MatchContains, "+"), `{"safeRegex":{"regex":".*\\+.*"}}`},
		{"expression", get(ir.MatchRegex, "/[0-9]+"), `{"safeRegex":{"regex":"/[0-9]+"}}`},
		{"empty expression", get(ir.MatchRegex, ""), `{"safeRegex":{"regex":"(?:)"}}`},
		{"methods", methods, `{"prefix":"","headers":[{"name":":method","stringMatch":{"safeRegex":{"regex":"GET|PUT"}}}]}`},
		{"header", header("x", ir.MatchExact, "1"), `{"prefix":"","headers":[{"name":"x","stringMatch":{"exact":"1"}}]}`},
		{"empty header", header("x", ir.MatchExact, ""), `{"prefix":"","headers":[{"name":"x","stringMatch":{"exact":""}}]}`},
		{"any header", header("x", ir.MatchAny, ""), `{"prefix":"","headers":[{"name":"x","presentMatch":true}]}`},
		{"empty prefix", header("x", ir.MatchPrefix, ""), `{"prefix":"","headers":[{"name":"x","presentMatch":true}]}`},
		{"query", query(ir.MatchExact, "1"), `{"prefix":"","queryParameters":[{"name":"q","stringMatch":{"exact":"1"}}]}`},
		{"query expression", query(ir.MatchRegex, "1+"), `{"prefix":"","queryParameters":[{"name":"q","stringMatch":{"safeRegex":{"regex":"1+"}}}]}`},
		{"any query", query(ir.MatchAny, ""), `{"prefix":"","queryParameters":[{"name":"q","presentMatch":true}]}`},
		{"segments", get(ir.MatchSegments, "/a.b"), `{"path":"/a.b"}{"prefix":"/a.b/"}`},
		{"host", header("host", ir.MatchSuffix, "x"), `{"prefix":"","headers":[{"name":":authority","stringMatch":{"suffix":"x"}}]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			for _, m := range RouteMatches(c.match) {
				got += text(t, m)
			}
			if got != c.want {
				t.Errorf("\ngot  %s\nwant %s", got, c.want)
			}
		})
	}
}

// The expression that stands for a comparison holds for the same strings.
func TestRegexMeansTheSame(t *testing.T) {
	values := []string{"", "/", "/a", "/a.b", "a+b", "x(y", ".", `\d`, "/a/", "aa"}
	samples := append([]string{"/ab", "/axb", "aab", "x", "/a.b/a.b", "1"}, values...)
	for _, kind := range []ir.MatchKind{ir.MatchAny, ir.MatchExact, ir.MatchPrefix, ir.MatchSuffix, ir.MatchContains, ir.MatchSegments} {
		for _, v := range values {
			m := ir.StringMatch{Kind: kind, Value: v}
			re := regexp.MustCompile("^(?:" + regex(m).GetRegex() + ")$")
			for _, s := range samples {
				if got, want := re.MatchString(s), m.Matches(s); got != want {
					t.Errorf("%s on %q: %s says %t, want %t", m, s, re, got, want)
				}
			}
		}
	}
}

func TestAction(t *testing.T) {
	b := func(name string, weight uint32, invalid string) ir.Backend {
		return ir.Backend{Service: ir.Name{Namespace: "n", Name: name}, Port: 80, Weight: weight, Invalid: invalid}
	}
	called := b("a", 1, "")
	called.Port = ir.AnyPort
	for _, c := range []struct {
		name     string
		backends []ir.Backend
		want     []Share
	}{
		{"none", nil, []Share{{Blackhole, 1}}},
		{"one", []ir.Backend{b("a", 5, "")}, []Share{{"a.n:80", 5}}},
		{"sorted", []ir.Backend{b("b", 5, ""), b("a", 1, "")}, []Share{{"a.n:80", 1}, {"b.n:80", 5}}},
		{"no weight", []ir.Backend{b("b", 5, ""), b("a", 0, "")}, []Share{{"b.n:80", 5}}},
		{"no weight at all", []ir.Backend{b("b", 0, ""), b("a", 0, "")}, []Share{{Blackhole, 1}}},
		{"invalid", []ir.Backend{b("b", 5, ""), b("a", 2, "gone"), b("c", 3, "gone")}, []Share{{"b.n:80", 5}, {Blackhole, 5}}},
		{"invalid without weight", []ir.Backend{b("b", 5, ""), b("a", 0, "gone")}, []Share{{"b.n:80", 5}}},
		{"twice the same", []ir.Backend{b("a", 5, ""), b("a", 2, "")}, []Share{{"a.n:80", 7}}},
		{"the called port", []ir.Backend{called}, []Share{{"a.n:8080", 1}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := Action(ir.Route{Backends: c.backends}, 8080)
			var got []Share
			for _, w := range a.GetWeightedClusters().GetClusters() {
				got = append(got, Share{w.GetName(), w.GetWeight().GetValue()})
				if fails := w.GetTypedPerFilterConfig()[FaultFilter] != nil; fails != (w.GetName() == Blackhole) {
					t.Errorf("%s fails: %t", w.GetName(), fails)
				}
			}
			if a.GetCluster() != "" {
				got = []Share{{a.GetCluster(), c.want[0].Weight}}
			}
			if len(got) != len(c.want) {
				t.Fatalf("got %v, want %v", got, c.want)
			}
			for _, w := range c.want {
				if !contains(got, w) {
					t.Errorf("got %v, want %v", got, c.want)
				}
			}
		})
	}
}

func contains(all []Share, one Share) bool {
	for _, s := range all {
		if s == one {
			return true
		}
	}
	return false
}

// Routes stand in the order of the model, one for each match; a route without
// matches never holds and is not there.
func TestRouteConfig(t *testing.T) {
	one := func(path string) ir.Match {
		return ir.Match{Path: ir.StringMatch{Kind: ir.MatchExact, Value: path}, Methods: []string{ir.AnyMethod}}
	}
	p := ir.Port{Number: 80, Routes: []ir.Route{{Name: "b", Matches: []ir.Match{one("/2"), one("/1")}}, {Name: "none"}, {Name: "a", Matches: []ir.Match{ir.MatchAll(report.Ref{})}}}}
	finished := 0
	c := RouteConfig(ir.Service{Namespace: "n", Name: "s"}, p, func(_ ir.Route, e *routev3.Route) []*routev3.Route {
		finished++
		return []*routev3.Route{e}
	})
	var got []string
	for _, r := range c.GetVirtualHosts()[0].GetRoutes() {
		got = append(got, r.GetName()+r.GetMatch().GetPath())
	}
	if want := "b/2 b/1 a"; strings.Join(got, " ") != want || c.GetName() != "s.n:80" || finished != 3 {
		t.Errorf("%s: %v, finished %d, want %s", c.GetName(), got, finished, want)
	}
}

func TestAllow(t *testing.T) {
	all := ir.MatchAll(report.Ref{})
	path := ir.Match{Path: ir.StringMatch{Kind: ir.MatchPrefix, Value: "/p"}, Methods: []string{"GET"}}
	regexHeader := ir.Match{Path: ir.StringMatch{Kind: ir.MatchAny}, Methods: []string{ir.AnyMethod},
		Headers: []ir.HeaderMatch{{Name: "x", Value: ir.StringMatch{Kind: ir.MatchRegex, Value: "a.*b"}}}}
	queried, below := ir.MatchAll(report.Ref{}), ir.MatchAll(report.Ref{})
	queried.Query, below.Path = []ir.QueryMatch{{Name: "q", Value: ir.StringMatch{Kind: ir.MatchAny}}}, ir.StringMatch{Kind: ir.MatchSegments, Value: "/p"}
	grant := func(port int32, matches ...ir.Match) ir.Grant {
		return ir.Grant{Name: ir.Name{Namespace: "n", Name: "g"}, Sources: []ir.Source{{Identity: ir.Identity{Namespace: "n", Account: "a"}}},
			Ports: []ir.GrantPort{{Number: port}}, Matches: matches}
	}
	const who = `"principals":[{"authenticated":{"principalName":{"exact":"spiffe://td/ns/n/sa/a"}}}]`
	const nobody = `"principals":[{"notId":{"authenticated":{}}}]`
	probe := ir.Probe{Port: 80, Protocol: ir.HTTP, Path: "healthz?x"}
	for _, c := range []struct {
		name   string
		grants []ir.Grant
		probes []ir.Probe
		port   ir.WorkloadPort
		joins  bool
		want   string // the policies
	}{
		{"nothing", nil, nil, ir.WorkloadPort{Number: 80, Protocol: ir.HTTP}, false, `{}`},
		{"everything", []ir.Grant{grant(80, all)}, nil, ir.WorkloadPort{Number: 80, Protocol: ir.HTTP}, false,
			`{"policies":{"n/g":{"permissions":[{"any":true}],` + who + `}}}`},
		{"other port", []ir.Grant{grant(81, all)}, nil, ir.WorkloadPort{Number: 80, Protocol: ir.HTTP}, false, `{}`},
		{"path and method", []ir.Grant{grant(80, path)}, nil, ir.WorkloadPort{Number: 80, Protocol: ir.GRPC}, false,
			`{"policies":{"n/g":{"permissions":[{"andRules":{"rules":[{"urlPath":{"path":{"prefix":"/p"}}},{"header":{"name":":method","stringMatch":{"exact":"GET"}}}]}}],` + who + `}}}`},
		{"path on TCP", []ir.Grant{grant(80, path)}, nil, ir.WorkloadPort{Number: 80, Protocol: ir.TCP}, false, `{}`},
		{"everything or a path on TCP", []ir.Grant{grant(80, path, all)}, nil, ir.WorkloadPort{Number: 80, Protocol: ir.TCP}, false,
			`{"policies":{"n/g":{"permissions":[{"any":true}],` + who + `}}}`},
		{"any port is any HTTP port", []ir.Grant{grant(ir.AnyPort, all)}, nil, ir.WorkloadPort{Number: 80, Protocol: ir.HTTP}, false,
			`{"policies":{"n/g":{"permissions":[{"any":true}],` + who + `}}}`},
		{"any port is no TCP port", []ir.Grant{grant(ir.AnyPort, all)}, nil, ir.WorkloadPort{Number: 80, Protocol: ir.TCP}, false, `{}`},
		{"no matches", []ir.Grant{grant(80)}, nil, ir.WorkloadPort{Number: 80, Protocol: ir.HTTP}, false, `{}`},
		{"lines joined", []ir.Grant{grant(80, regexHeader)}, nil, ir.WorkloadPort{Number: 80, Protocol: ir.HTTP}, true,
			`{"policies":{"n/g":{"permissions":[{"andRules":{"rules":[{"header":{"name":"x","stringMatch":{"safeRegex":{"regex":"a.*b"}}}},{"notRule":{"header":{"name":"x","stringMatch":{"contains":","}}}}]}}],` + who + `}}}`},
		{"a query nowhere holds", []ir.Grant{grant(80, queried)}, nil, ir.WorkloadPort{Number: 80, Protocol: ir.HTTP}, false, `{}`},
		{"path and below", []ir.Grant{grant(80, below)}, nil, ir.WorkloadPort{Number: 80, Protocol: ir.HTTP}, false,
			`{"policies":{"n/g":{"permissions":[{"urlPath":{"path":{"safeRegex":{"regex":"/p(?:/.*)?"}}}}],` + who + `}}}`},
		{"probe", nil, []ir.Probe{probe}, ir.WorkloadPort{Number: 80, Protocol: ir.HTTP}, false,
			`{"policies":{"probes":{"permissions":[{"andRules":{"rules":[{"urlPath":{"path":{"exact":"/healthz"}}},{"header":{"name":":method","stringMatch":{"exact":"GET"}}}]}}],` + nobody + `}}}`},
		{"probe of another port", nil, []ir.Probe{probe}, ir.WorkloadPort{Number: 81, Protocol: ir.HTTP}, false, `{}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Dialect{TrustDomain: "td", JoinsHeaders: c.joins}
			got := d.Allow(ir.Workload{Grants: c.grants, Probes: c.probes}, c.port)
			if got == nil || text(t, got) != c.want {
				t.Errorf("\ngot  %s\nwant %s", text(t, got), c.want)
			}
		})
	}
}

func TestServerNames(t *testing.T) {
	self := ir.Backend{Service: ir.Name{Namespace: "n", Name: "s"}}
	known, other := self, ir.Backend{Service: ir.Name{Namespace: "n", Name: "o"}, Servers: []ir.Identity{{Namespace: "n", Account: "o"}}}
	known.Servers = []ir.Identity{{Namespace: "n", Account: "b"}, {SPIFFE: "spiffe://x/a"}, {Namespace: "n", Account: "b"}}
	for _, c := range []struct {
		name     string
		backends []ir.Backend
		want     string
	}{
		{"known", []ir.Backend{other, known}, `{"exact":"spiffe://td/ns/n/sa/b"}{"exact":"spiffe://x/a"}`},
		{"unknown", []ir.Backend{other, self}, `{"prefix":"spiffe://td/ns/n/sa/"}`},
	} {
		got := ""
		for _, m := range ServerNames(ir.Service{Namespace: "n", Name: "s"}, ir.Port{Routes: []ir.Route{{Backends: c.backends}}}, "td") {
			got += text(t, m)
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestLoadAssignments(t *testing.T) {
	e := ir.Endpoints{Namespace: "n", Name: "s", Ports: []ir.EndpointsPort{{Number: 80, Endpoints: []ir.Endpoint{
		{Address: "10.0.0.2", Port: 1, Ready: false}, {Address: "10.0.0.1", Port: 1, Ready: false}, {Address: "10.0.0.1", Port: 1, Ready: true}}}, {Number: 81}}}
	const end = `{"endpoint":{"address":{"socketAddress":{"address":`
	want := `{"clusterName":"s.n:80","endpoints":[{"locality":{},"lbEndpoints":[` +
		end + `"10.0.0.1","portValue":1}}},"healthStatus":"HEALTHY"},` + end + `"10.0.0.2","portValue":1}}},"healthStatus":"UNHEALTHY"}],"loadBalancingWeight":1}]}` +
		`{"clusterName":"s.n:81"}`
	got := ""
	for _, a := range LoadAssignments(e) {
		got += text(t, a)
	}
	if got != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
}

// The bytes of a packed message do not depend on the order of a map.
func TestAnyIsDeterministic(t *testing.T) {
	w := ir.Workload{}
	for _, name := range strings.Split("a b c d e f g h i j k l m n o p", " ") {
		w.Grants = append(w.Grants, ir.Grant{Name: ir.Name{Namespace: "n", Name: name}, Sources: []ir.Source{{}},
			Ports: []ir.GrantPort{{Number: 80}}, Matches: []ir.Match{ir.MatchAll(report.Ref{})}})
	}
	first := Any(Dialect{}.Allow(w, ir.WorkloadPort{Number: 80})).GetValue()
	for range 50 {
		if !bytes.Equal(first, Any(Dialect{}.Allow(w, ir.WorkloadPort{Number: 80})).GetValue()) {
			t.Fatal("the same rules have other bytes")
		}
	}
}

func TestPorts(t *testing.T) {
	w := ir.Workload{
		Ports:  []ir.WorkloadPort{{Number: 80, Protocol: ir.HTTP}, {Number: 53, Protocol: ir.UDP}, {Number: 22, Protocol: ir.TCP}},
		Grants: []ir.Grant{{Ports: []ir.GrantPort{{Number: 80}, {Number: 53}, {Number: 9}, {Number: ir.AnyPort}}}, {Ports: []ir.GrantPort{{Number: 9}, {Number: 7}}}},
	}
	var got []string
	for _, p := range Ports(w, func(n int32) ir.Protocol { return ir.Protocol(strings.Repeat("x", int(n))) }) {
		got = append(got, string(p.Protocol))
	}
	if want := "xxxxxxx xxxxxxxxx TCP HTTP"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

// What holds for "//" must hold for "/" too, for both are one path.
func TestTwoSlashes(t *testing.T) {
	for _, c := range []struct {
		path    ir.StringMatch
		entries int
		barred  bool // an entry says that the path is not "//"
	}{
		{ir.StringMatch{Kind: ir.MatchRegex, Value: "/.+"}, 1, true},
		{ir.StringMatch{Kind: ir.MatchRegex, Value: "/.*"}, 1, false},
		{ir.StringMatch{Kind: ir.MatchRegex, Value: "/|/a"}, 2, false},
		{ir.StringMatch{Kind: ir.MatchRegex, Value: "/a+"}, 1, false},
		{ir.StringMatch{Kind: ir.MatchExact, Value: "//"}, 0, false},
		{ir.StringMatch{Kind: ir.MatchContains, Value: "//"}, 0, false},
		{ir.StringMatch{Kind: ir.MatchExact, Value: "/"}, 2, false},
	} {
		entries := RouteMatches(ir.Match{Path: c.path, Methods: []string{ir.AnyMethod}})
		barred := false
		for _, e := range entries {
			NotTwoSlashes(e)
			barred = barred || len(e.GetHeaders()) == 1 && e.GetHeaders()[0].GetInvertMatch()
		}
		if len(entries) != c.entries || barred != c.barred {
			t.Errorf("%v: %d entries, barred %t; want %d, %t", c.path, len(entries), barred, c.entries, c.barred)
		}
	}
}
