package envoy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

var teller = ir.Identity{Namespace: "bank", Account: "teller"}

// doors says where each caller's proxy listens for a Service.
type doors map[string]int32

func (d doors) add(t *testing.T, options map[string]string, service string, callers ...ir.Identity) {
	var places []string
	for _, c := range callers {
		at := freePort(t)
		d[service+" "+c.Namespace] = at
		places = append(places, fmt.Sprintf("%s/%s=%s", c.Namespace, c.Account, local(at)))
	}
	options[fmt.Sprintf("listen.shop/%s:80", service)] = strings.Join(places, ",")
}

// TestRoutesInTheMesh holds redirects, rewriting, edits, answers, queries and the
// routes of a namespace's own against the model, for callers of two namespaces.
func TestRoutesInTheMesh(t *testing.T) {
	c := newCity(t, ir.Workload{}, nil, "v1", "v2")
	at := doors{}
	moved := ir.Route{Name: "moved", Matches: path(segments("/moved")), Redirect: &ir.Redirect{Status: 301, Path: &ir.PathEdit{Prefix: true, Value: "/here"}}}
	rewritten := to("v1", withQuery(match(segments("/old")), "a", exact("1")))
	rewritten.Rewrite = &ir.Rewrite{Host: "v1.inner", Path: &ir.PathEdit{Prefix: true, Value: "/"}}
	edited := to("v2", match(segments("/edit")))
	edited.RequestHeaders = &ir.HeaderEdit{Set: []ir.Header{{Name: "x-by", Value: "mesh"}}}
	edited.ResponseHeaders = &ir.HeaderEdit{Remove: []string{"x-old"}}
	unmatched := ir.Route{Name: "unmatched", Matches: everything, Status: 404}
	s := &ir.Service{Namespace: "shop", Name: "front", Ports: []ir.Port{{Number: 80, Protocol: ir.HTTP,
		Routes: []ir.Route{moved, rewritten, edited, unmatched},
		Views:  []ir.View{{Namespace: "bank", Routes: []ir.Route{to("v2", match(segments("/old"))), unmatched}}}}}}
	c.units = append(c.units, endpoint("front", 80, 1, false), ir.Unit{Service: s})
	at.add(t, c.options, "front", web, teller)
	c.serve(translators.Target{Options: c.options}, c.units)
	for _, id := range []ir.Identity{reviews, web, teller} {
		c.proxy(id)
	}
	for _, port := range at {
		listens(t, port)
	}
	door := func(q semantics.Request) (int32, bool) {
		if q.Service != shop("front") || q.From == nil || q.From.SPIFFE != "" {
			return 0, false
		}
		port, ok := at["front "+q.From.Namespace]
		return port, ok
	}
	var all []semantics.Request
	for _, id := range []ir.Identity{web, teller} {
		for _, target := range []string{"/moved", "/moved/x?y", "/movedx", "/old", "/old?a=1", "/old/x?a=1", "/old/?b&a=1", "/edit", "/else", "/"} {
			for _, host := range []string{"front", "front.shop:80", "front.shop.svc.cluster.local:8080"} {
				all = append(all, semantics.Request{From: &id, Service: shop("front"), Port: 80, Method: "GET", Path: target, Headers: map[string][]string{"host": {host}}})
			}
		}
	}
	if n := askAll(t, semantics.New(c.units), append(semantics.Classes(c.units), all...), door); n < len(all) {
		t.Errorf("only %d requests were asked", n)
	}
	// The view goes: its callers get everybody's routes, without a restart.
	plain := *s
	plain.Ports = slices.Clone(s.Ports)
	plain.Ports[0].Views = nil
	c.units[len(c.units)-1] = ir.Unit{Service: &plain}
	c.serve(translators.Target{Options: c.options}, c.units)
	eventually(t, "everybody's routes for the bank", func() bool {
		return exchange(t, at["front bank"], "GET /edit\nhost: front").Status == 200
	})
	askAll(t, semantics.New(c.units), all, door)
}

// TestConnectionViews: callers of a namespace with a view are connected to where
// it leads, also where their proxies listen at the same place as all others.
func TestConnectionViews(t *testing.T) {
	l := newRig(t)
	options, at := map[string]string{}, doors{}
	units := []ir.Unit{mesh}
	w := &ir.Workload{Namespace: reviews.Namespace, Account: reviews.Account}
	for i, name := range []string{"tcp1", "tcp2"} {
		in := freePort(t)
		inbound(options, reviews, int32(8081+i), in, greeter(t, name))
		w.Ports = append(w.Ports, ir.WorkloadPort{Number: int32(8081 + i), Protocol: ir.TCP})
		units = append(units, service(name, 80, ir.TCP), endpoint(name, 80, in, true))
		listen(options, name, 80, web, freePort(t))
	}
	view := func(name string) ir.Unit {
		return ir.Unit{Service: &ir.Service{Namespace: "shop", Name: name, Ports: []ir.Port{{Number: 80, Protocol: ir.TCP,
			Routes: []ir.Route{route("all", everything, backend("tcp1", 80, 1))},
			Views: []ir.View{{Namespace: "bank", Routes: []ir.Route{route("bank", everything, backend("tcp2", 80, 1))}},
				{Namespace: "park", Routes: []ir.Route{{Name: "none", Matches: everything, Status: 404}}}}}}}}
	}
	units = append(units, ir.Unit{Workload: w}, view("front"), view("same"), endpoint("front", 80, 1, false), endpoint("same", 80, 1, false))
	visitor := ir.Identity{Namespace: "park", Account: "visitor"}
	at.add(t, options, "front", web, teller, visitor)
	same := freePort(t)
	options["listen.shop/same:80"] = local(same)
	l.serve(translators.Target{Options: options}, units)
	l.proxy(reviews)
	l.proxy(teller)
	// The proxy of reviews listens there too, with the routes of everybody, and which
	// of the two gets a connection is up to the kernel.
	eventually(t, "the bank's routes at the place of all", func() bool { return answerTCP(t, same) == "tcp2" })
	listens(t, at["front bank"])
	if who := answerTCP(t, at["front bank"]); who != "tcp2" {
		t.Errorf("%s answered the bank, want tcp2", who)
	}
	delete(options, "listen.shop/same:80")
	options["listen.shop/same:80"] = fmt.Sprintf("shop/web=%s", local(freePort(t)))
	l.serve(translators.Target{Options: options}, units)
	l.proxy(web)
	l.proxy(visitor)
	for caller, want := range map[string]string{"shop": "tcp1", "park": "closed"} {
		listens(t, at["front "+caller])
		if who := answerTCP(t, at["front "+caller]); who != want {
			t.Errorf("%s answered %s, want %s", who, caller, want)
		}
	}
}

// TestRouteTimeoutsInTheMesh: a route's time holds, and only where it is set.
func TestRouteTimeoutsInTheMesh(t *testing.T) {
	c := newCity(t, ir.Workload{}, nil, "v1")
	at := doors{}
	slow := to("v1", match(segments("/slow")))
	slow.Timeout = &ir.Timeout{Request: 300 * time.Millisecond}
	slow.Mirrors = []ir.Mirror{{Backend: backend("v1", 80, 0), Numerator: 1, Denominator: 1}}
	c.units = append(c.units, endpoint("front", 80, 1, false), service("front", 80, ir.HTTP, slow, to("v1", match(anyPath))))
	at.add(t, c.options, "front", web)
	c.serve(translators.Target{Options: c.options}, c.units)
	c.proxy(reviews)
	c.proxy(web)
	listens(t, at["front shop"])
	for target, want := range map[string]int{"/slow": 504, "/slow/x": 504, "/slower": 200} {
		if got := exchange(t, at["front shop"], "GET "+target+"\nhost: front\nx-sleep: 800ms").Status; got != want {
			t.Errorf("%s: %d, want %d", target, got, want)
		}
	}
}
