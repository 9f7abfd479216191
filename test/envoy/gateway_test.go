package envoy_test

import (
	"fmt"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

var (
	edge     = ir.Name{Namespace: "infra", Name: "edge"}
	edgeAs   = ir.Identity{Namespace: "infra", Account: "edge-proxy"}
	segments = func(s string) ir.StringMatch { return ir.StringMatch{Kind: ir.MatchSegments, Value: s} }
)

// city is a mesh with a gateway: its backends answer with what they hear.
type city struct {
	*rig
	units   []ir.Unit
	options map[string]string
	echoes  map[string]*lab.Echo
	at      map[int32]int32 // where the gateway's ports are
}

// newCity has a Service on port 80 for each name, behind the proxy of reviews,
// and a Gateway that listens on ports.
func newCity(t *testing.T, w ir.Workload, ports []int32, names ...string) *city {
	c := &city{rig: newRig(t), options: map[string]string{}, echoes: map[string]*lab.Echo{}, at: map[int32]int32{}}
	w.Namespace, w.Account = reviews.Namespace, reviews.Account
	for i, name := range names {
		port, at := int32(8081+i), freePort(t)
		c.echoes[name] = newEcho(c.rig, name)
		inbound(c.options, reviews, port, at, c.echoes[name].Port)
		listen(c.options, name, 80, web, freePort(t))
		w.Ports = append(w.Ports, ir.WorkloadPort{Number: port, Protocol: ir.HTTP,
			Services: []ir.ServicePort{{Service: shop(name), Port: 80}}})
		c.units = append(c.units, service(name, 80, ir.HTTP), endpoint(name, 80, at, true))
	}
	g := ir.Gateway{Namespace: edge.Namespace, Name: edge.Name, Identity: edgeAs, Ref: report.Ref{Kind: "Gateway", Namespace: "infra", Name: "edge"}}
	for _, p := range ports {
		c.at[p] = freePort(t)
		c.options[fmt.Sprintf("gateway.%s:%d", edge, p)] = local(c.at[p])
		g.Ports = append(g.Ports, ir.GatewayPort{Number: p, Protocol: ir.HTTP, Ref: g.Ref})
	}
	c.units = append(c.units, mesh, ir.Unit{Workload: &w}, ir.Unit{Gateway: &g})
	return c
}

// host adds a virtual host; what its routes do not match gets 404.
func (c *city) host(port int32, name string, routes ...ir.Route) {
	routes = append(routes, ir.Route{Name: "unmatched", Matches: everything, Status: 404})
	c.units = append(c.units, ir.Unit{VirtualHost: &ir.VirtualHost{Gateway: edge, Port: port, Host: name, Identity: edgeAs, Routes: routes,
		Ref: report.Ref{Kind: "Gateway", Namespace: "infra", Name: "edge"}}})
}

// open starts the proxies and waits until the gateway listens.
func (c *city) open() semantics.Model {
	c.t.Helper()
	c.serve(translators.Target{Options: c.options}, c.units)
	c.proxy(reviews)
	c.proxy(edgeAs)
	for _, port := range c.at {
		listens(c.t, port)
	}
	return semantics.New(c.units)
}

func listens(t *testing.T, port int32) {
	t.Helper()
	eventually(t, "listeners at "+local(port), func() bool {
		conn, err := net.DialTimeout("tcp", local(port), time.Second)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

func to(name string, matches ...ir.Match) ir.Route {
	return route("to-"+name, matches, backend(name, 80, 1))
}

func path(m ir.StringMatch) []ir.Match { return []ir.Match{match(m)} }

func withQuery(m ir.Match, name string, v ir.StringMatch) ir.Match {
	m.Query = append(m.Query, ir.QueryMatch{Name: name, Value: v})
	return m
}

func (c *city) askAll(m semantics.Model, more ...semantics.Request) {
	c.t.Helper()
	asked := askAll(c.t, m, append(semantics.Classes(c.units), more...), func(q semantics.Request) (int32, bool) {
		return c.at[q.Port], q.Gateway == edge
	})
	c.t.Logf("%d requests", asked)
	if asked < 30 {
		c.t.Errorf("only %d requests were asked", asked)
	}
}

// call is a request from outside.
func call(port int32, host, target string, headers ...string) semantics.Request {
	q := semantics.Request{Gateway: edge, Port: port, Method: "GET", Path: target, Headers: map[string][]string{"host": {host}}}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		q.Headers[name] = append(q.Headers[name], value)
	}
	return q
}

// TestGatewayMatches asks a gateway for hosts and paths, with methods, headers
// and queries, and holds who answers against the model.
func TestGatewayMatches(t *testing.T) {
	c := newCity(t, ir.Workload{}, []int32{80, 8080}, "v1", "v2", "v3")
	c.host(80, "a.example",
		to("v1", match(exact("/exact"))),
		to("v2", match(segments("/seg/deep"), "POST"), match(segments("/seg"))),
		to("v3", match(prefix("/stringwise")), match(regex("/v[0-9]+(/.*)?"))),
		to("v1", withHeader(withHeader(match(segments("/h")), "x-v", exact("1")), "x-w", regex("b+"))),
		to("v2", withHeader(match(segments("/h")), "x-v", exact("1"))),
		to("v3", withQuery(withQuery(match(segments("/q")), "a", exact("1")), "b", regex("x+"))),
		to("v2", withQuery(match(segments("/q")), "a", exact("1"))),
		to("v1", withQuery(match(segments("/q")), "p", anyPath), withQuery(match(segments("/q")), "e", exact(""))),
		to("v1", match(segments("/m"), "PUT", "PATCH")),
		route("gone", path(segments("/gone")), missing("v9", 80, 1)),
		route("nothing", path(segments("/nothing")), backend("v1", 80, 0)),
		ir.Route{Name: "status", Matches: path(segments("/status")), Status: 500})
	c.host(80, "*.example", to("v2", ir.MatchAll(report.Ref{})))
	c.host(80, "*.deep.example", to("v3", ir.MatchAll(report.Ref{})))
	c.host(8080, "*", to("v1", match(segments("/other"))))
	c.askAll(c.open(),
		call(80, "A.Example", "/exact"), call(80, "a.example:80", "/exact"), call(80, "a.example:9999", "/seg/x?y=z"),
		call(80, "x.deep.example", "/"), call(80, "x.y.deep.example", "/"), call(80, "deep.example", "/"), call(80, ".deep.example", "/"),
		call(80, ".example", "/"), call(80, "example", "/"), call(80, "other", "/exact"), call(8080, "whatever:1", "/other/x"), call(8080, "a.example", "/exact"),
		call(80, "a.example", "/seg"), call(80, "a.example", "/seg/"), call(80, "a.example", "/segment"), call(80, "a.example", "/seg%2fx"),
		call(80, "a.example", "/seg//x"), call(80, "a.example", "/exact?q=/seg"), call(80, "a.example", "/%65xact"),
		call(80, "a.example", "/q?a=1&a=2"), call(80, "a.example", "/q?a=2&a=1"), call(80, "a.example", "/q?a=%31"), call(80, "a.example", "/q?A=1"),
		call(80, "a.example", "/q?p"), call(80, "a.example", "/q?p="), call(80, "a.example", "/q?e"), call(80, "a.example", "/q?e=1"), call(80, "a.example", "/q?e="),
		call(80, "a.example", "/q?b=xx&a=1"), call(80, "a.example", "/q?a=1&b=xy"), call(80, "a.example", "/h", "x-v: 1", "x-w: b", "x-w: c"))
}

// TestGatewayRedirects holds every kind of redirect against the model: where it
// leads, and with which status.
func TestGatewayRedirects(t *testing.T) {
	c := newCity(t, ir.Workload{}, []int32{80, 8080}, "v1")
	whole := func(s string) *ir.PathEdit { return &ir.PathEdit{Value: s} }
	front := func(s string) *ir.PathEdit { return &ir.PathEdit{Prefix: true, Value: s} }
	var routes []ir.Route
	for i, r := range []ir.Redirect{
		{Status: 302, Host: "b.example"}, {Status: 301, Scheme: "https"}, {Status: 302, Port: 8443}, {Status: 302, Port: 80}, {Status: 302, Port: 443},
		{Status: 303, Scheme: "https", Port: 8443}, {Status: 307, Scheme: "http", Port: 8080}, {Status: 308, Scheme: "https", Host: "b.example", Port: 443},
		{Status: 302, Scheme: "http"}, {Status: 302, Host: "b.example", Port: 81}, {Status: 302, Path: whole("/whole")}, {Status: 302, Path: whole("/")},
		{Status: 302, Path: front("/new")}, {Status: 302, Path: front("/new/")}, {Status: 302, Path: front("/")}, {Status: 302, Path: front("")},
		{Status: 301, Scheme: "https", Host: "c.example", Port: 444, Path: front("/a/b")}, {Status: 302, Path: whole(`/a\1b`)},
	} {
		routes = append(routes, ir.Route{Name: fmt.Sprintf("r%d", i), Matches: path(segments(fmt.Sprintf("/r%d", i))), Redirect: &r})
	}
	everywhere := ir.Route{Name: "all", Matches: everything, Redirect: &ir.Redirect{Status: 302, Path: front("/front")}}
	for _, port := range []int32{80, 8080} {
		c.host(port, "a.example", routes...)
		c.host(port, "*.wild.example", routes...)
		c.host(port, "all.example", everywhere)
		c.host(port, "root.example", ir.Route{Name: "root", Matches: everything, Redirect: &ir.Redirect{Status: 302, Path: front("/")}})
	}
	m := c.open()
	var more []semantics.Request
	for i := range routes {
		for _, host := range []string{"a.example", "a.example:8080", "a.example:80", "x.wild.example", "x.wild.example:80", "x.wild.example:8080", "x.wild.example:9999"} {
			for _, rest := range []string{"", "/", "/x/y?a=/b&c", "?q=1"} {
				for _, port := range []int32{80, 8080} {
					more = append(more, call(port, host, fmt.Sprintf("/r%d%s", i, rest)))
				}
			}
		}
	}
	c.askAll(m, append(more, call(80, "all.example", "/"), call(80, "all.example", "/x/y?z"), call(8080, "root.example", "/x/y?z"), call(80, "root.example", "/"))...)
}

// TestGatewayEdits holds what backends are asked, and what callers hear, against
// the model where hosts, paths and headers are edited.
func TestGatewayEdits(t *testing.T) {
	c := newCity(t, ir.Workload{}, []int32{80}, "v1", "v2")
	var routes []ir.Route
	rewriting := func(w ir.Rewrite) {
		name := fmt.Sprintf("w%d", len(routes))
		r := to("v1", match(segments("/"+name)))
		r.Name, r.Rewrite = name, &w
		routes = append(routes, r)
	}
	rewriting(ir.Rewrite{Host: "inner.example"})
	for _, p := range []string{"/new", "/new/", "/", "", `/a\1%20b`} {
		rewriting(ir.Rewrite{Path: &ir.PathEdit{Prefix: true, Value: p}})
	}
	for _, p := range []string{"/whole", "/", `/a\0b`} {
		rewriting(ir.Rewrite{Host: "inner.example:81", Path: &ir.PathEdit{Value: p}})
	}
	editing := func(edit, answer, share, shareAnswer *ir.HeaderEdit, w *ir.Rewrite) {
		name := fmt.Sprintf("w%d", len(routes))
		r := to("v1", match(segments("/"+name)))
		r.Name, r.RequestHeaders, r.ResponseHeaders, r.Rewrite = name, edit, answer, w
		r.Backends[0].RequestHeaders, r.Backends[0].ResponseHeaders = share, shareAnswer
		routes = append(routes, r)
	}
	e := func(set, add, remove string) *ir.HeaderEdit {
		e := &ir.HeaderEdit{Remove: strings.Fields(remove)}
		for _, s := range strings.Fields(set) {
			n, v, _ := strings.Cut(s, "=")
			e.Set = append(e.Set, ir.Header{Name: n, Value: v})
		}
		for _, s := range strings.Fields(add) {
			n, v, _ := strings.Cut(s, "=")
			e.Add = append(e.Add, ir.Header{Name: n, Value: v})
		}
		return e
	}
	editing(e("x-old=set x-new=set", "x-more=two x-first=one", "x-gone"), nil, nil, nil, nil)
	editing(nil, e("x-old=set x-new=set", "x-more=two x-first=one", "x-gone"), nil, nil, nil)
	editing(e("x-old=route", "x-more=route", ""), e("x-old=route", "x-more=route", ""), e("x-old=share", "x-more=share", "x-gone"), e("x-old=share", "x-more=share", "x-gone"), nil)
	editing(e("x-old=100%REQ(host)% x-empty=", "x-more=50%", ""), e("x-old=%START_TIME%", "x-more=%%", ""), nil, nil, nil)
	editing(e("host=set.example", "", ""), nil, nil, nil, nil)
	editing(e("host=set.example", "", ""), nil, e("host=share.example", "", ""), nil, nil)
	editing(nil, nil, e("host=share.example", "", ""), nil, nil)
	editing(e("host=set.example x-old=a", "", ""), nil, nil, nil, &ir.Rewrite{Host: "rewritten.example", Path: &ir.PathEdit{Value: "/w"}})
	both := route("both", path(segments("/both")), backend("v1", 80, 1), backend("v2", 80, 1), backend("v1", 80, 1), missing("v9", 80, 1))
	both.Backends[0].RequestHeaders, both.Backends[1].ResponseHeaders = e("x-old=first", "", ""), e("", "x-more=second", "")
	both.RequestHeaders = e("", "", "x-gone")
	routes = append(routes, both)
	c.host(80, "a.example", routes...)
	front := to("v2", ir.MatchAll(report.Ref{}))
	front.Rewrite = &ir.Rewrite{Path: &ir.PathEdit{Prefix: true, Value: "/app/"}}
	c.host(80, "front.example", front)
	var more []semantics.Request
	for _, r := range routes {
		for _, rest := range []string{"", "/", "/x/y?a=b", "?q=/" + r.Name, "//x", "/%20/../z"} {
			more = append(more, call(80, "a.example:80", "/"+r.Name+rest, "x-old: old", "x-more: one", "x-gone: here"))
		}
	}
	for range 20 {
		more = append(more, call(80, "a.example", "/both", "x-old: old", "x-more: one", "x-gone: here"))
	}
	c.askAll(c.open(), append(more, call(80, "front.example", "/"), call(80, "front.example", "/x/y?z"), call(80, "front.example", "/?z"))...)
}

// TestGatewayShares counts: shares by weight, the share of a backend that is
// missing, and copies.
func TestGatewayShares(t *testing.T) {
	c := newCity(t, ir.Workload{}, []int32{80}, "v1", "v2", "copy", "copy2")
	mirrored := func(numerator, denominator uint32, names ...string) ir.Route {
		r := to("v1", match(segments(fmt.Sprintf("/mirror-%d-%d", numerator, denominator))))
		for _, n := range names {
			r.Mirrors = append(r.Mirrors, ir.Mirror{Backend: backend(n, 80, 0), Numerator: numerator, Denominator: denominator})
		}
		return r
	}
	gone := mirrored(1, 1, "copy")
	gone.Mirrors[0].Backend.Invalid, gone.Matches = "there is no such Service", path(exact("/gone"))
	rewritten := mirrored(1, 1, "copy")
	rewritten.Matches, rewritten.Rewrite = path(exact("/before")), &ir.Rewrite{Host: "inner.example", Path: &ir.PathEdit{Value: "/after"}}
	c.host(80, "a.example",
		route("split", path(exact("/split")), backend("v1", 80, 70), backend("v2", 80, 20), missing("v9", 80, 10)),
		mirrored(1, 1, "copy", "copy2"), mirrored(1, 4, "copy"), mirrored(0, 100, "copy"), mirrored(1, 3, "copy"), gone, rewritten)
	c.open()
	get := func(target string) string {
		r := exchange(t, c.at[80], "GET "+target+"\nhost: a.example")
		if r.Status != 200 {
			return fmt.Sprint(r.Status)
		}
		return r.Heard.App
	}
	got := map[string]int{}
	const n = 2500
	for range n {
		got[get("/split")]++
	}
	for _, d := range differences(got, n, map[string]float64{"v1": .7, "v2": .2, "500": .1}) {
		t.Error(d)
	}
	for _, k := range []struct {
		target, path, app string
		n                 int
		share             float64
	}{
		{"/mirror-1-1", "/mirror-1-1", "copy", 40, 1}, {"/mirror-1-1/x", "/mirror-1-1/x", "copy2", 40, 1}, {"/mirror-1-4", "/mirror-1-4", "copy", 2000, .25},
		{"/mirror-1-3", "/mirror-1-3", "copy", 2000, 1. / 3}, {"/mirror-0-100", "/mirror-0-100", "copy", 50, 0}, {"/gone", "/gone", "copy", 20, 0}, {"/before", "/after", "copy", 20, 1},
	} {
		for range k.n {
			if who := get(k.target); who != "v1" {
				t.Fatalf("%s: %s answered", k.target, who)
			}
		}
		mean := k.share * float64(k.n)
		low := mean - 3.9*math.Sqrt(mean*(1-k.share))
		eventually(t, "copies of "+k.target, func() bool { return float64(times(c.echoes[k.app], k.path)) >= low })
		time.Sleep(100 * time.Millisecond) // for a copy too many
		if copies := times(c.echoes[k.app], k.path); math.Abs(float64(copies)-mean) > 3.9*math.Sqrt(mean*(1-k.share)) {
			t.Errorf("%s: %d copies of %d, want %.0f", k.target, copies, k.n, mean)
		}
	}
	for _, h := range c.echoes["copy"].Requests() {
		if h.Path == "/after" && h.Host != "inner.example" || h.Path != "/after" && h.Host != "a.example" {
			t.Fatalf("a copy asks for host %s, path %s", h.Host, h.Path)
		}
	}
}

// TestGatewayTimeouts ends requests that take too long, and no others; what a
// caller outside says of time is not heard.
func TestGatewayTimeouts(t *testing.T) {
	c := newCity(t, ir.Workload{}, []int32{80}, "v1")
	timed := func(name string, request, backend time.Duration) ir.Route {
		r := to("v1", match(exact(name)))
		r.Timeout = &ir.Timeout{Request: request, Backend: backend}
		return r
	}
	const short, long = time.Second, time.Minute
	c.host(80, "a.example", timed("/request", short, 0), timed("/backend", 0, short), timed("/both", long, short), timed("/long", long, 0), to("v1", match(exact("/none"))))
	c.open()
	for _, k := range []struct {
		path, sleep string
		status      int
	}{
		{"/request", "0s", 200}, {"/request", "5s", 504}, {"/backend", "5s", 504}, {"/both", "5s", 504}, {"/both", "0s", 200}, {"/long", "1500ms", 200}, {"/none", "1500ms", 200},
	} {
		start := time.Now()
		r := exchange(t, c.at[80], "GET "+k.path+"\nhost: a.example\nx-sleep: "+k.sleep+"\nx-envoy-upstream-rq-timeout-ms: 100\nx-envoy-upstream-rq-per-try-timeout-ms: 100")
		if took := time.Since(start); r.Status != k.status || k.status == 504 && (took < short/2 || took > 4*time.Second) {
			t.Errorf("%s with %s: %d after %s, want %d", k.path, k.sleep, r.Status, took, k.status)
		}
	}
}

// TestGatewayCallsAsItself: backends know the gateway by its identity, and judge
// the request that it makes of the caller's; the caller's address is told.
func TestGatewayCallsAsItself(t *testing.T) {
	c := newCity(t, ir.Workload{Enforced: true, Grants: []ir.Grant{
		grant("edge", []int32{8081}, edgeAs, match(segments("/inner"))), grant("web", []int32{8081}, web, ir.MatchAll(report.Ref{}))}}, []int32{80}, "v1")
	inner := to("v1", match(segments("/outer")))
	inner.Rewrite = &ir.Rewrite{Path: &ir.PathEdit{Prefix: true, Value: "/inner"}}
	c.host(80, "a.example", inner, to("v1", ir.MatchAll(report.Ref{})))
	m := c.open()
	c.askAll(m, call(80, "a.example", "/outer"), call(80, "a.example", "/outer/x"), call(80, "a.example", "/inner"), call(80, "a.example", "/innermost"), call(80, "a.example", "/else"))
	r := exchange(t, c.at[80], "GET /outer\nhost: a.example\nx-forwarded-for: 10.9.9.9\nx-forwarded-proto: https")
	by := strings.Join(r.Heard.Headers["x-forwarded-for"], ",") // Envoy says the machine's own address for 127.0.0.1
	if got := r.Heard.Headers["x-forwarded-proto"]; !strings.HasPrefix(by, "10.9.9.9,") || len(got) != 1 || got[0] != "http" {
		t.Errorf("the backend hears of %s by %s", by, got)
	}
	if xfcc := r.Heard.Headers["x-forwarded-client-cert"]; len(xfcc) != 1 || !strings.Contains(xfcc[0], edgeAs.URI("cluster.local")) {
		t.Errorf("the backend hears of %q", xfcc)
	}
}
