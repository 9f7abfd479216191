package consul

import (
	"slices"
	"testing"
	"time"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// A Service that nothing routes only says what it speaks.
func TestUnrouted(t *testing.T) {
	out, _ := made(t, translators.Target{}, reviews(ir.HTTP))
	if got := kinds(out); !slices.Equal(got, []string{"service-defaults reviews"}) {
		t.Error(got)
	}
	is(t, out[0].Payload, `
Kind: service-defaults
Name: reviews
Meta: {managed-by: meshknot}
Protocol: http
UpstreamConfig: {Defaults: {PassiveHealthCheck: {EnforcingConsecutive5xx: 0, MaxEjectionPercent: 0}}}`)
	for p, want := range map[ir.Protocol]string{ir.HTTP2: "http2", ir.GRPC: "grpc", ir.TCP: "tcp"} {
		out, _ := made(t, translators.Target{}, reviews(p))
		is(t, only(t, out, "service-defaults", "reviews")["Protocol"], want)
	}
	if out, _ := made(t, translators.Target{}, reviews(ir.UDP)); len(out) > 0 {
		t.Errorf("UDP makes %v", kinds(out))
	}
}

// The shares are behind a name of their own, so that who sends a share to
// reviews is not split with it, and the rest goes to reviews itself.
func TestSplitWithMatches(t *testing.T) {
	beta := withHeader("x-beta", ir.MatchPrefix, "y")
	beta.Path = ir.StringMatch{Kind: ir.MatchSuffix, Value: ".html"}
	out, _ := made(t, translators.Target{}, reviews(ir.HTTP,
		route("canary", []ir.Match{beta, method("PUT", "POST")}, to("v1", 1), to("v2", 2), to("v3", 0), nowhere("v4", 1)),
		route("moved", []ir.Match{onPath(ir.MatchSegments, "/v2")}, to("v2", 5))))
	split := nameOf("reviews-canary", "shop", "reviews", "canary")
	if got := kinds(out); !slices.Equal(got, []string{
		"service-defaults meshknot-missing-http", "service-defaults reviews", "service-defaults " + split,
		"service-defaults v1", "service-defaults v2", "service-splitter " + split, "service-router reviews",
	}) {
		t.Error(got)
	}
	is(t, only(t, out, "service-splitter", split)["Splits"],
		`[{Service: v1, Weight: 25}, {Service: v2, Weight: 50}, {Service: meshknot-missing-http, Weight: 25}]`)
	is(t, only(t, out, "service-router", "reviews")["Routes"], `
- Match: {HTTP: {PathRegex: '.*\.html', Header: [{Name: x-beta, Prefix: "y"}]}}
  Destination: &split {Service: `+split+`, RequestTimeout: -1s, IdleTimeout: -1s}
- Match: {HTTP: {Methods: [PUT, POST], PathPrefix: /}}
  Destination: *split
- Match: {HTTP: {PathExact: /v2}}
  Destination: &v2 {Service: v2, RequestTimeout: -1s, IdleTimeout: -1s}
- Match: {HTTP: {PathPrefix: /v2/}}
  Destination: *v2
- Match: {HTTP: {PathPrefix: /}}
  Destination: {Service: reviews, RequestTimeout: -1s, IdleTimeout: -1s}`)
}

func TestNowhere(t *testing.T) {
	status := ir.Route{Name: "unmatched", Status: 404, Matches: []ir.Match{all()}}
	for name, r := range map[string]ir.Route{
		"404": status, "no weight": route("x", []ir.Match{all()}, to("v1", 0)), "no backend": route("x", []ir.Match{all()}),
		"missing": route("x", []ir.Match{all()}, nowhere("v1", 3)), "redirect": {Name: "x", Matches: []ir.Match{all()}, Redirect: &ir.Redirect{Status: 301}},
	} {
		out, _ := made(t, translators.Target{}, reviews(ir.GRPC, r))
		is(t, only(t, out, "service-router", "reviews")["Routes"],
			`[{Match: {HTTP: {PathPrefix: /}}, Destination: {Service: meshknot-missing-grpc, RequestTimeout: -1s, IdleTimeout: -1s}}]`)
		if t.Failed() {
			t.Fatal(name)
		}
	}
	status.Status = 418
	if _, found := made(t, translators.Target{}, reviews(ir.HTTP, status)); len(found) != 1 || found[0].Class != report.Dropped {
		t.Error(found)
	}
}

func TestOnTheWay(t *testing.T) {
	edit := &ir.HeaderEdit{Set: []ir.Header{{Name: "a", Value: "1"}}, Add: []ir.Header{{Name: "b", Value: "2"}}, Remove: []string{"d", "c"}}
	r := route("r", []ir.Match{onPath(ir.MatchSegments, "/old"), all()}, to("v1", 1))
	r.Rewrite = &ir.Rewrite{Path: &ir.PathEdit{Prefix: true, Value: "/new/"}}
	r.Timeout = &ir.Timeout{Request: 1500 * time.Millisecond}
	r.RequestHeaders, r.ResponseHeaders = edit, &ir.HeaderEdit{Remove: []string{"server"}}
	out, _ := made(t, translators.Target{}, reviews(ir.HTTP, r))
	const way = `Service: v1, RequestTimeout: 1.5s, IdleTimeout: -1s, ResponseHeaders: {Remove: [server]},
		RequestHeaders: {Set: {a: "1"}, Add: {b: "2"}, Remove: [c, d]}`
	is(t, only(t, out, "service-router", "reviews")["Routes"], `
- {Match: {HTTP: {PathExact: /old}}, Destination: {PrefixRewrite: /new, `+way+`}}
- {Match: {HTTP: {PathPrefix: /old/}}, Destination: {PrefixRewrite: /new/, `+way+`}}
- {Match: {HTTP: {PathPrefix: /}}, Destination: {PrefixRewrite: /new/, `+way+`}}`)

	// Envoy edits for a share first, but the route's edits come first.
	own := to("v2", 1)
	own.RequestHeaders = &ir.HeaderEdit{Set: []ir.Header{{Name: "b", Value: "own"}}, Add: []ir.Header{{Name: "a", Value: "own"}, {Name: "c", Value: "own"}}}
	r = route("r", []ir.Match{all()}, to("v1", 1), own)
	r.RequestHeaders = edit
	out, _ = made(t, translators.Target{}, reviews(ir.HTTP, r))
	is(t, only(t, out, "service-splitter", nameOf("reviews-r", "shop", "reviews", "r"))["Splits"], `
- {Service: v1, Weight: 50, RequestHeaders: {Set: {a: "1"}, Add: {b: "2"}, Remove: [c, d]}}
- {Service: v2, Weight: 50, RequestHeaders: {Set: {a: "1,own", b: own, c: own}, Remove: [d]}}`)
	if d := only(t, out, "service-router", "reviews")["Routes"].([]any)[0].(object)["Destination"].(object); d["RequestHeaders"] != nil {
		t.Error("the route's edits are made twice")
	}
}

// Connections go elsewhere all or not at all.
func TestConnections(t *testing.T) {
	for name, c := range map[string]struct {
		route ir.Route
		want  string
	}{
		"elsewhere": {route("r", []ir.Match{all()}, to("v1", 1)), "v1"},
		"missing":   {route("r", []ir.Match{all()}, nowhere("v1", 1)), "meshknot-missing-tcp"},
		"status":    {ir.Route{Name: "r", Status: 500, Matches: []ir.Match{all()}}, "meshknot-missing-tcp"},
		"home":      {route("r", []ir.Match{all()}, to("reviews", 1)), ""},
		"requests":  {route("r", []ir.Match{method("GET")}, to("v1", 1)), ""},
		"shared":    {route("r", []ir.Match{all()}, to("v1", 1), to("v2", 1)), ""},
	} {
		out, found := made(t, translators.Target{}, reviews(ir.TCP, c.route))
		if c.want == "" {
			if len(out) != 1 || (name == "shared") != (len(found) == 1) {
				t.Errorf("%s: %v %v", name, kinds(out), found)
			}
			continue
		}
		is(t, only(t, out, "service-resolver", "reviews")["Redirect"], "{Service: "+c.want+"}")
	}
	u, found := left(reviews(ir.TCP, route("r", []ir.Match{all()}, to("v1", 1), to("v2", 1))), translators.Target{})
	if out, _ := made(t, translators.Target{}, u); len(out) != 1 || !slices.ContainsFunc(found, func(f report.Finding) bool { return f.Class == report.Dropped }) {
		t.Errorf("%v %v", kinds(out), found)
	}
}

// Ports that are routed alike are one Consul service; others are not routed.
func TestSeveralPorts(t *testing.T) {
	build := func(second func(*ir.Port)) ir.Unit {
		u := reviews(ir.HTTP, route("r", []ir.Match{all()}, to("v1", 1), to("v2", 1)))
		p := u.Service.Ports[0]
		p.Number, p.Ref = 90, ref("Service", "reviews", "spec.ports[1]")
		p.Routes = slices.Clone(p.Routes)
		for i, r := range p.Routes {
			p.Routes[i].Backends = slices.Clone(r.Backends)
			for j := range r.Backends {
				p.Routes[i].Backends[j].Port = 90
			}
		}
		second(&p)
		u.Service.Ports = append(u.Service.Ports, p)
		return u
	}
	out, found := made(t, translators.Target{}, build(func(*ir.Port) {}))
	only(t, out, "service-router", "reviews")
	if len(found) > 0 {
		t.Error(found)
	}
	for name, second := range map[string]func(*ir.Port){
		"routes": func(p *ir.Port) { p.Routes = p.Routes[1:] },
		"spoken": func(p *ir.Port) { p.Protocol = ir.TCP },
	} {
		out, found := made(t, translators.Target{}, build(second))
		if len(out) != 1 || len(found) != 1 || found[0].Class != report.Dropped {
			t.Errorf("%s: %v %v", name, kinds(out), found)
		}
	}
	out, _ = made(t, translators.Target{}, build(func(p *ir.Port) { p.Protocol = ir.TCP }))
	is(t, only(t, out, "service-defaults", "reviews")["Protocol"], "tcp")
}

// Two backends that are one Consul service get the sum of their shares.
func TestOneServiceTwice(t *testing.T) {
	other := to("v1", 2)
	other.Service.Namespace, other.Port = "other", 99
	out, found := made(t, translators.Target{}, reviews(ir.HTTP, route("r", []ir.Match{all()}, to("v1", 1), to("v2", 1), other)))
	is(t, only(t, out, "service-splitter", nameOf("reviews-r", "shop", "reviews", "r"))["Splits"], `[{Service: v1, Weight: 75}, {Service: v2, Weight: 25}]`)
	if len(found) > 0 {
		t.Error(found)
	}
	other.RequestHeaders = &ir.HeaderEdit{Remove: []string{"x"}}
	if _, found := made(t, translators.Target{}, reviews(ir.HTTP, route("r", []ir.Match{all()}, to("v1", 1), to("v2", 1), other))); len(found) != 1 {
		t.Error(found)
	}
}

// Services of one name are one in Consul, and the user is told.
func TestNamesakes(t *testing.T) {
	split := route("r", []ir.Match{all()}, to("v1", 1), to("v2", 1))
	elsewhere := func(p ir.Protocol, routes ...ir.Route) ir.Unit {
		u := reviews(p, routes...)
		u.Service.Namespace = "other"
		u.Service.Ports[0].Routes[len(routes)].Backends[0].Service.Namespace = "other"
		return u
	}
	other := elsewhere(ir.HTTP)
	_, found := made(t, translators.Target{}, reviews(ir.HTTP, split), other)
	if len(found) != 1 || found[0].Code != report.Lossy {
		t.Error(found)
	}
	if _, found := made(t, translators.Target{Options: map[string]string{"service.other/reviews": "theirs"}}, reviews(ir.HTTP, split), other); len(found) > 0 {
		t.Error(found)
	}
	other = elsewhere(ir.HTTP, split)
	out, found := made(t, translators.Target{}, reviews(ir.HTTP, split), other)
	if slices.Contains(kinds(out), "service-router reviews") || !slices.ContainsFunc(found, func(f report.Finding) bool { return f.Code == report.Claimed }) {
		t.Errorf("one of two routers holds: %v %v", kinds(out), found)
	}
	if _, found := made(t, translators.Target{}, reviews(ir.HTTP), elsewhere(ir.GRPC)); len(found) != 1 || found[0].Code != report.Claimed {
		t.Error(found)
	}
}

func TestMatchThatConsulRefuses(t *testing.T) {
	out, found := made(t, translators.Target{}, reviews(ir.HTTP, route("r", []ir.Match{method("BREW"), method("BREW", "GET")}, to("v1", 1))))
	is(t, only(t, out, "service-router", "reviews")["Routes"].([]any)[0].(object)["Match"], `{HTTP: {Methods: [GET], PathPrefix: /}}`)
	if len(found) != 1 || found[0].Class != report.Dropped {
		t.Error(found)
	}
}
