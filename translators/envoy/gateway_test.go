package envoy_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/meshknot/meshknot/test/schema"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/envoy"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

var edge = ir.Name{Namespace: "infra", Name: "edge"}

var edgeProxy = ir.Identity{Namespace: "infra", Account: "edge-proxy"}

func edgeGateway(ports ...int32) ir.Unit {
	g := &ir.Gateway{Namespace: edge.Namespace, Name: edge.Name, Ref: ref("Gateway", "edge"), Identity: edgeProxy}
	for _, p := range ports {
		g.Ports = append(g.Ports, ir.GatewayPort{Number: p, Protocol: ir.HTTP, Ref: g.Ref, Listeners: []ir.Listener{{Name: "http", Host: "*", Ref: g.Ref}}})
	}
	return ir.Unit{Gateway: g}
}

func vhost(port int32, host string, routes ...ir.Route) ir.Unit {
	return ir.Unit{VirtualHost: &ir.VirtualHost{Gateway: edge, Port: port, Host: host, Identity: edgeProxy, Ref: ref("Gateway", "edge"), Routes: routes}}
}

func all() []ir.Match { return []ir.Match{ir.MatchAll(report.Ref{})} }

func backend(name string, weight uint32) ir.Backend {
	return ir.Backend{Service: ir.Name{Namespace: "shop", Name: name}, Port: 80, Weight: weight}
}

func assemble(t testing.TB, options map[string]string, units ...ir.Unit) translators.Output {
	t.Helper()
	target := translators.Target{Backend: "envoy", Options: options}
	out, _ := translators.Make(units, envoy.New(), target, nil)
	return out
}

// A Gateway has a listener and one set of routes per port, for its own proxies
// alone, in which each host stands once and in order, whatever the order of units.
func TestGateway(t *testing.T) {
	units := []ir.Unit{edgeGateway(80, 8080), vhost(80, "b.example"), vhost(80, "*"), vhost(80, "*.example"), vhost(8080, "b.example"), vhost(80, "a.example")}
	for range 2 {
		slices.Reverse(units)
		var got []string
		for _, a := range assemble(t, map[string]string{"gateway.infra/edge:80": "127.0.0.1:1080"}, units...).Artifacts {
			if a.Audience != (ir.Audience{Namespace: "infra", Account: "edge-proxy"}) {
				t.Errorf("%s is for %v", a.ID.Name, a.Audience)
			}
			if err := schema.XDS(a.Payload.(proto.Message)); err != nil {
				t.Error(err)
			}
			line := a.ID.Name
			switch m := a.Payload.(type) {
			case *listenerv3.Listener:
				line += fmt.Sprintf(" at %s:%d", m.GetAddress().GetSocketAddress().GetAddress(), m.GetAddress().GetSocketAddress().GetPortValue())
			case *routev3.RouteConfiguration:
				for _, v := range m.GetVirtualHosts() {
					line += " " + strings.Join(v.GetDomains(), "+")
				}
				if m.GetName() != a.ID.Name || !m.GetIgnorePortInHostMatching() {
					t.Errorf("%s: %v", line, m)
				}
			}
			got = append(got, line)
		}
		want := []string{"gateway|edge.infra|80 at 127.0.0.1:1080", "gateway|edge.infra|8080 at 0.0.0.0:8080",
			"gateway|edge.infra|80 * *.example a.example b.example", "gateway|edge.infra|8080 b.example"}
		if !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// Nothing of a Gateway is for everybody, also where its identity is not known.
func TestGatewayIsNobodyElses(t *testing.T) {
	g, v := edgeGateway(80), vhost(80, "*")
	g.Gateway.Identity, v.VirtualHost.Identity = ir.Identity{}, ir.Identity{}
	for _, a := range assemble(t, nil, g, v).Artifacts {
		if a.Audience.Namespace == "" || a.Audience.Account == "" {
			t.Errorf("%v is for %v", a.ID, a.Audience)
		}
	}
}

func TestGatewayPlaces(t *testing.T) {
	for _, place := range []string{"1080", ":0", "127.0.0.1:70000"} {
		out := assemble(t, map[string]string{"gateway.infra/edge:80": place}, edgeGateway(80))
		if len(out.Findings) != 1 || out.Findings[0].Code != report.BadValue || len(out.Artifacts) != 0 {
			t.Errorf("%s: %v, %d artifacts", place, out.Findings, len(out.Artifacts))
		}
	}
}

// The parts are not changed by being joined: units are compiled once and kept.
func TestAssembleKeepsItsParts(t *testing.T) {
	var parts []translators.Artifact
	for _, u := range []ir.Unit{edgeGateway(80), vhost(80, "a.example"), vhost(80, "b.example")} {
		for _, a := range artifacts(t, u, nil) {
			if a.Part != "" {
				parts = append(parts, a)
			}
		}
	}
	before := bytesOf(t, parts)
	first, _ := envoy.New().(translators.Assembler).Assemble(parts)
	second, _ := envoy.New().(translators.Assembler).Assemble(parts[:2])
	if n := len(first.Payload.(*routev3.RouteConfiguration).GetVirtualHosts()); n != 2 || len(parts) != 3 {
		t.Errorf("%d parts with %d virtual hosts", len(parts), n)
	}
	if n := len(second.Payload.(*routev3.RouteConfiguration).GetVirtualHosts()); n != 1 {
		t.Errorf("%d virtual hosts of one", n)
	}
	if string(bytesOf(t, parts)) != string(before) {
		t.Error("a part was changed")
	}
}

// TestActions holds what is done with requests against what Envoy has to be told.
func TestActions(t *testing.T) {
	segments := []ir.Match{{Path: ir.StringMatch{Kind: ir.MatchSegments, Value: "/a"}, Methods: []string{ir.AnyMethod}}}
	mirror := func(n, d uint32, invalid string) ir.Mirror {
		b := backend("copy", 0)
		b.Invalid = invalid
		return ir.Mirror{Backend: b, Numerator: n, Denominator: d}
	}
	one := []ir.Backend{backend("v1", 1)}
	for _, c := range []struct {
		name  string
		route ir.Route
		host  string
		want  []string // parts of the entries, of which there are as many as in the last number
		n     int
	}{
		{"status", ir.Route{Status: 404, Matches: all()}, "a", []string{`"directResponse":{"status":404}`}, 1},
		{"redirect in a known host", ir.Route{Matches: all(), Redirect: &ir.Redirect{Scheme: "https", Status: 301}}, "a",
			[]string{`"redirect":{"schemeRedirect":"https","hostRedirect":"a"}`}, 1},
		{"redirect in any host", ir.Route{Matches: all(), Redirect: &ir.Redirect{Scheme: "https", Status: 301}}, "*",
			[]string{`"redirect":{"schemeRedirect":"https","portRedirect":443}`, `{"schemeRedirect":"https"}`, `"regex":".*:[0-9]+"`}, 2},
		{"redirect to a port", ir.Route{Matches: all(), Redirect: &ir.Redirect{Port: 81, Status: 302}}, "*", []string{`{"portRedirect":81,"responseCode":"FOUND"}`}, 1},
		{"redirect to a path below", ir.Route{Matches: segments, Redirect: &ir.Redirect{Host: "b", Path: &ir.PathEdit{Prefix: true, Value: "/b/"}, Status: 302}}, "*",
			[]string{`"path":"/a"`, `"prefixRewrite":"/b"`, `"prefix":"/a/"`, `"prefixRewrite":"/b/"`}, 2},
		{"rewrite to the root", ir.Route{Matches: segments, Backends: one, Rewrite: &ir.Rewrite{Host: "h", Path: &ir.PathEdit{Prefix: true, Value: "/"}}}, "a",
			[]string{`"path":"/a"`, `"prefix":"/a/"`, `"prefixRewrite":"/"`, `"hostRewriteLiteral":"h"`}, 2},
		{"rewrite everything", ir.Route{Matches: all(), Backends: one, Rewrite: &ir.Rewrite{Path: &ir.PathEdit{Value: `/x\y`}}}, "a",
			[]string{`"regexRewrite":{"pattern":{"regex":"^.*$"},"substitution":"/x\\\\y"}`}, 1},
		{"headers", ir.Route{Matches: all(), Backends: one, RequestHeaders: &ir.HeaderEdit{Set: []ir.Header{{Name: "s", Value: "1%"}}, Add: []ir.Header{{Name: "a", Value: ""}}, Remove: []string{"r", "host"}}}, "a",
			[]string{`{"header":{"key":"s","value":"1%%"},"appendAction":"OVERWRITE_IF_EXISTS_OR_ADD"}`, `{"header":{"key":"a"},"keepEmptyValue":true}`, `"requestHeadersToRemove":["r"]`}, 1},
		{"mirrors", ir.Route{Matches: all(), Backends: one, Mirrors: []ir.Mirror{mirror(1, 1, ""), mirror(1, 3, ""), mirror(0, 1, ""), mirror(1, 1, "gone")}}, "a",
			[]string{`"requestMirrorPolicies":[{"cluster":"copy.shop:80","runtimeFraction":{"defaultValue":{"numerator":100}},"disableShadowHostSuffixAppend":true},` +
				`{"cluster":"copy.shop:80","runtimeFraction":{"defaultValue":{"numerator":333333,"denominator":"MILLION"}},"disableShadowHostSuffixAppend":true}]`}, 1},
		{"times", ir.Route{Matches: all(), Backends: one, Timeout: &ir.Timeout{Request: 3 * time.Second, Backend: 2 * time.Second}}, "a", []string{`"timeout":"2s"`}, 1},
		{"no time", ir.Route{Matches: all(), Backends: one, Timeout: &ir.Timeout{}}, "a", []string{`"timeout":"0s"`}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := vhost(80, c.host, c.route)
			before, err := json.Marshal(u)
			must(t, err)
			m := assemble(t, nil, u).Artifacts[0].Payload.(*routev3.RouteConfiguration)
			must(t, schema.XDS(m))
			if n := len(m.GetVirtualHosts()[0].GetRoutes()); n != c.n {
				t.Errorf("%d entries, want %d", n, c.n)
			}
			text, err := protojson.Marshal(m)
			must(t, err)
			got := strings.ReplaceAll(strings.ReplaceAll(string(text), `": `, `":`), `, "`, `,"`)
			got = strings.ReplaceAll(got, `, {`, `,{`)
			for _, want := range c.want {
				if !strings.Contains(got, want) {
					t.Errorf("%s is not in\n%s", want, got)
				}
			}
			if after, _ := json.Marshal(u); string(before) != string(after) {
				t.Error("the unit was changed")
			}
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A fraction that is mirrored is never more than a millionth beside what was
// asked, and never none where some was asked.
func TestFractions(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := rapid.Uint32Range(1, 1<<32-1).Draw(rt, "denominator")
		n := rapid.Uint32Range(1, d).Draw(rt, "numerator")
		r := ir.Route{Matches: all(), Backends: []ir.Backend{backend("v1", 1)}, Mirrors: []ir.Mirror{{Backend: backend("copy", 0), Numerator: n, Denominator: d}}}
		m := assemble(t, nil, vhost(80, "*", r)).Artifacts[0].Payload.(*routev3.RouteConfiguration)
		f := m.GetVirtualHosts()[0].GetRoutes()[0].GetRoute().GetRequestMirrorPolicies()[0].GetRuntimeFraction().GetDefaultValue()
		of := []float64{100, 10_000, 1_000_000}[f.GetDenominator()]
		got, want := float64(f.GetNumerator())/of, float64(n)/float64(d)
		if f.GetNumerator() == 0 || got > 1 || got-want > 1e-6 || want-got > 1e-6 {
			rt.Errorf("%d/%d becomes %v", n, d, f)
		}
	})
}

// Routes of a view have the name of everybody's, and are for its namespace.
func TestViews(t *testing.T) {
	s := &ir.Service{Namespace: "shop", Name: "front", Addresses: []string{"10.0.0.1"}, Ports: []ir.Port{
		{Number: 80, Protocol: ir.HTTP, Routes: []ir.Route{{Name: "a", Matches: all(), Backends: []ir.Backend{backend("v1", 1)}}},
			Views: []ir.View{{Namespace: "bank", Routes: []ir.Route{{Name: "b", Matches: all(), Status: 404}}}}},
		{Number: 81, Protocol: ir.TCP, Routes: []ir.Route{{Name: "a", Matches: all(), Backends: []ir.Backend{backend("v1", 1)}}},
			Views: []ir.View{{Namespace: "bank", Routes: []ir.Route{{Name: "b", Matches: all(), Backends: []ir.Backend{backend("v2", 1)}}}}}}}}
	for _, c := range []struct {
		listen string
		want   string
	}{
		{"", `Listener outbound|front.shop:80|10.0.0.1
Listener outbound|front.shop:81|10.0.0.1
Listener outbound|front.shop:81|10.0.0.1 for bank/
RouteConfiguration front.shop:80
RouteConfiguration front.shop:80 for bank/`},
		{"shop/web=127.0.0.1:1,bank/teller=127.0.0.1:2", `Listener outbound|front.shop:80|10.0.0.1
Listener outbound|front.shop:81|bank/teller for bank/teller
Listener outbound|front.shop:81|shop/web for shop/web
RouteConfiguration front.shop:80
RouteConfiguration front.shop:80 for bank/`},
	} {
		options := map[string]string{}
		if c.listen != "" {
			options["listen.shop/front:81"] = c.listen
		}
		var got []string
		for _, a := range assemble(t, options, ir.Unit{Service: s}).Artifacts {
			line := a.ID.Type[strings.LastIndex(a.ID.Type, ".")+1:] + " " + a.ID.Name
			if a.Audience != (ir.Audience{}) {
				line += " for " + a.Audience.Namespace + "/" + a.Audience.Account
			}
			if strings.HasPrefix(line, "Cluster") {
				continue
			}
			got = append(got, line)
			if strings.Contains(line, ":81") {
				text := fmt.Sprint(a.Payload)
				if bank := strings.Contains(line, "bank"); strings.Contains(text, "v2.shop") != bank || strings.Contains(text, "v1.shop") == bank {
					t.Errorf("%s: %s", line, text)
				}
			}
		}
		if s := strings.Join(got, "\n"); s != c.want {
			t.Errorf("got\n%s\nwant\n%s", s, c.want)
		}
	}
}

// many is a Gateway with n routes: in as many virtual hosts, or all in one.
func many(n int, oneHost bool) []ir.Unit {
	units := []ir.Unit{edgeGateway(80)}
	var routes []ir.Route
	for i := range n {
		m := ir.Match{Path: ir.StringMatch{Kind: ir.MatchSegments, Value: fmt.Sprintf("/api/%d", i)}, Methods: []string{ir.AnyMethod}}
		r := ir.Route{Name: fmt.Sprintf("shop/r%d", i), Ref: ref("HTTPRoute", fmt.Sprintf("r%d", i)), Matches: []ir.Match{m},
			Backends: []ir.Backend{backend(fmt.Sprintf("s%d", i), 90), backend(fmt.Sprintf("s%d-canary", i), 10)}}
		if routes = append(routes, r); !oneHost {
			units = append(units, vhost(80, fmt.Sprintf("h%d.example", i), r))
		}
	}
	if oneHost {
		units = append(units, vhost(80, "*", routes...))
	}
	return units
}

// BenchmarkGateway translates and joins routes of one Gateway. What a route
// costs must not grow with their number.
func BenchmarkGateway(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		for _, oneHost := range []bool{false, true} {
			units := many(n, oneHost)
			b.Run(fmt.Sprintf("%d/oneHost=%t", n, oneHost), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if out := assemble(b, nil, units...); len(out.Artifacts) != 2 || out.Refused() {
						b.Fatalf("%d artifacts, %v", len(out.Artifacts), out.Findings)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/route")
			})
		}
	}
}

// Of two listeners at one place Envoy refuses the second, so a Gateway does not
// get the ports at which redirected connections arrive, unless nothing is
// redirected or it is given another place.
func TestGatewayPortsOfEnvoy(t *testing.T) {
	for _, c := range []struct {
		port    int32
		options map[string]string
		good    bool
	}{
		{80, nil, true},
		{envoy.OutboundPort, nil, false},
		{envoy.InboundPort, nil, false},
		{envoy.OutboundPort, map[string]string{"listen.shop/web:80": "127.0.0.1:9000"}, true},
		{envoy.InboundPort, map[string]string{"listen.shop/web:80": "127.0.0.1:9000"}, false},
		{envoy.InboundPort, map[string]string{"gateway.infra/edge:15006": "0.0.0.0:9000"}, true},
		{80, map[string]string{"gateway.infra/edge:80": "0.0.0.0:15001"}, false},
	} {
		out := assemble(t, c.options, edgeGateway(c.port))
		if good := len(out.Findings) == 0 && len(out.Artifacts) > 0; good != c.good {
			t.Errorf("port %d, %v: %d artifacts, %v", c.port, c.options, len(out.Artifacts), out.Findings)
		}
	}
}

// A redirect's answer is edited like any other, in each of its entries.
func TestRedirectHeaders(t *testing.T) {
	r := ir.Route{Name: "moved", Matches: all(), Redirect: &ir.Redirect{Scheme: "https", Status: 301},
		ResponseHeaders: &ir.HeaderEdit{Set: []ir.Header{{Name: "x-a", Value: "b"}}, Remove: []string{"x-b"}}}
	out := assemble(t, nil, edgeGateway(80), vhost(80, "*", r))
	entries := 0
	for _, a := range out.Artifacts {
		c, ok := a.Payload.(*routev3.RouteConfiguration)
		if !ok {
			continue
		}
		for _, e := range c.GetVirtualHosts()[0].GetRoutes() {
			entries++
			if add := e.GetResponseHeadersToAdd(); len(add) != 1 || add[0].GetHeader().GetKey() != "x-a" || !slices.Equal(e.GetResponseHeadersToRemove(), []string{"x-b"}) {
				t.Errorf("%v", e)
			}
		}
	}
	if entries != 2 {
		t.Errorf("%d entries, want one for hosts with a port and one for those without", entries)
	}
}
