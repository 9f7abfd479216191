package istio

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	networkingv1 "istio.io/api/networking/v1"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

const last = `{name: default, match: [{port: 9080}], retries: {attempts: 0},
  route: [{destination: {host: reviews.shop.svc.cluster.local, port: {number: 9080}}}]}`

func TestHTTPRoutes(t *testing.T) {
	v1, v2 := to("v1", 9080, 90), to("v2", 9081, 10)
	tests := []struct {
		name   string
		routes []ir.Route
		want   string // of spec.http, without the last route
	}{
		{"two backends by weight", []ir.Route{route("s", []ir.Match{header("x-beta", ir.MatchExact, "yes")}, v1, v2)},
			`[{name: s, match: [{port: 9080, headers: {x-beta: {exact: "yes"}}}], retries: {attempts: 0}, route: [
			  {destination: {host: v1.shop.svc.cluster.local, port: {number: 9080}}, weight: 90},
			  {destination: {host: v2.shop.svc.cluster.local, port: {number: 9081}}, weight: 10}]}]`},
		{"a backend of weight zero gets nothing", []ir.Route{route("s", []ir.Match{method("GET")}, v1, to("v2", 9080, 0))},
			`[{name: s, match: [{port: 9080, method: {exact: GET}}], retries: {attempts: 0}, route: [
			  {destination: {host: v1.shop.svc.cluster.local, port: {number: 9080}}}]}]`},
		{"the called port", []ir.Route{route("s", []ir.Match{method("GET", "POST")}, to("v1", ir.AnyPort, 1))},
			`[{name: s, match: [{port: 9080, method: {regex: GET|POST}}], retries: {attempts: 0}, route: [
			  {destination: {host: v1.shop.svc.cluster.local, port: {number: 9080}}}]}]`},
		{"the share of a missing backend fails", []ir.Route{route("s", []ir.Match{path(ir.MatchPrefix, "/a")}, v1, missing("gone", 30), v2)},
			`[{name: s, match: [{port: 9080, uri: {prefix: /a}}], retries: {attempts: 0},
			  fault: {abort: {httpStatus: 500, percentage: {value: 23.07691}}}, route: [
			  {destination: {host: v1.shop.svc.cluster.local, port: {number: 9080}}, weight: 90},
			  {destination: {host: v2.shop.svc.cluster.local, port: {number: 9081}}, weight: 10}]}]`},
		{"only a missing backend", []ir.Route{route("s", []ir.Match{path(ir.MatchExact, "/a")}, missing("gone", 3), to("v1", 1, 0))},
			`[{name: s, match: [{port: 9080, uri: {exact: /a}}], directResponse: {status: 500}}]`},
		{"all weights zero", []ir.Route{route("s", []ir.Match{path(ir.MatchExact, "/a")}, to("v1", 1, 0))},
			`[{name: s, match: [{port: 9080, uri: {exact: /a}}], directResponse: {status: 500}}]`},
		{"any of several matches, in order", []ir.Route{route("s", []ir.Match{path(ir.MatchSuffix, ".css"), path(ir.MatchContains, "a+b"), path(ir.MatchRegex, "/[0-9]+")}, v1)},
			`[{name: s, match: [{port: 9080, uri: {regex: '.*\.css'}}, {port: 9080, uri: {regex: '.*a\+b.*'}}, {port: 9080, uri: {regex: '/[0-9]+'}}],
			  retries: {attempts: 0}, route: [{destination: {host: v1.shop.svc.cluster.local, port: {number: 9080}}}]}]`},
		{"headers: present, empty, prefix, and host", []ir.Route{route("s", []ir.Match{{Path: ir.StringMatch{Kind: ir.MatchAny}, Methods: []string{ir.AnyMethod}, Headers: []ir.HeaderMatch{
			{Name: "a", Value: ir.StringMatch{Kind: ir.MatchAny}}, {Name: "b", Value: ir.StringMatch{Kind: ir.MatchExact}},
			{Name: "c", Value: ir.StringMatch{Kind: ir.MatchPrefix, Value: "x"}}, {Name: "host", Value: ir.StringMatch{Kind: ir.MatchExact, Value: "h"}}}}}, v1)},
			`[{name: s, match: [{port: 9080, authority: {exact: h}, headers: {a: {}, b: {exact: ""}, c: {prefix: x}}}],
			  retries: {attempts: 0}, route: [{destination: {host: v1.shop.svc.cluster.local, port: {number: 9080}}}]}]`},
		{"a route that nothing matches is left out", []ir.Route{route("s", []ir.Match{method("GET")}, v1), route("never", nil, v2)},
			`[{name: s, match: [{port: 9080, method: {exact: GET}}], retries: {attempts: 0}, route: [
			  {destination: {host: v1.shop.svc.cluster.local, port: {number: 9080}}}]}]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := reviews(9080, ir.HTTP, tt.routes...)
			out, _ := made(t, ir.Unit{Service: &s}, translators.Target{})
			if len(out) != 1 {
				t.Fatalf("%d artifacts", len(out))
			}
			http := specs(out, "VirtualService")[0].(object)["http"].([]any)
			same(t, http[:len(http)-1], tt.want)
			same(t, http[len(http)-1], last)
			readable(t, out[0].Payload.(object)["spec"])
		})
	}
}

// readable checks that Istio's own types take a specification.
func readable(t *testing.T, spec any) {
	t.Helper()
	if err := json.Unmarshal([]byte(encode(t, spec)), &networkingv1.VirtualService{}); err != nil {
		t.Error(err)
	}
}

func TestVirtualService(t *testing.T) {
	split := route("s", []ir.Match{all()}, to("v1", 9080, 1), to("v2", 9080, 1))
	tests := []struct {
		name    string
		service ir.Service
		target  translators.Target
		want    string // of the whole object; empty: none is made
	}{
		{"nothing but itself", reviews(9080, ir.HTTP), translators.Target{}, ``},
		{"matches that lead to itself", reviews(9080, ir.HTTP, route("s", []ir.Match{method("GET")}, to("reviews", ir.AnyPort, 5))), translators.Target{}, ``},
		{"a route that nothing matches", reviews(9080, ir.HTTP, route("s", nil, to("v1", 9080, 5))), translators.Target{}, ``},
		{"UDP", reviews(53, ir.UDP, split), translators.Target{}, ``},
		{"another port of itself", reviews(9080, ir.HTTP, route("s", []ir.Match{all()}, to("reviews", 81, 5))), translators.Target{},
			`{apiVersion: networking.istio.io/v1, kind: VirtualService,
			  metadata: {name: reviews, namespace: shop, labels: {app.kubernetes.io/managed-by: meshknot},
			    annotations: {meshknot.io/source: "Service/shop/reviews,TrafficSplit/shop/default,TrafficSplit/shop/s"}},
			  spec: {hosts: [reviews.shop.svc.cluster.local], gateways: [mesh], exportTo: ["*"],
			    http: [{name: s, match: [{port: 9080}], retries: {attempts: 0}, route: [{destination: {host: reviews.shop.svc.cluster.local, port: {number: 81}}}]}]}}`},
		{"ports unknown, in a domain of its own", reviews(ir.AnyPort, ir.HTTP,
			route("m", []ir.Match{method("GET")}, to("v1", ir.AnyPort, 1)), route("s", []ir.Match{method("PUT"), all()}, to("v2", ir.AnyPort, 1))),
			translators.Target{Options: map[string]string{"cluster-domain": "corp.example"}},
			`{apiVersion: networking.istio.io/v1, kind: VirtualService,
			  metadata: {name: reviews, namespace: shop, labels: {app.kubernetes.io/managed-by: meshknot},
			    annotations: {meshknot.io/source: "Service/shop/reviews,TrafficSplit/shop/default,TrafficSplit/shop/m,TrafficSplit/shop/s"}},
			  spec: {hosts: [reviews.shop.svc.corp.example], gateways: [mesh], exportTo: ["*"], http: [
			    {name: m, match: [{method: {exact: GET}}], retries: {attempts: 0}, route: [{destination: {host: v1.shop.svc.corp.example}}]},
			    {name: s, retries: {attempts: 0}, route: [{destination: {host: v2.shop.svc.corp.example}}]}]}}`},
		{"TCP, half of it to a missing backend", reviews(6379, ir.TCP,
			route("never", []ir.Match{method("GET")}, to("v9", 6379, 1)), route("s", []ir.Match{all()}, to("v1", 6379, 1), missing("gone", 1))), translators.Target{},
			`{apiVersion: networking.istio.io/v1, kind: VirtualService,
			  metadata: {name: reviews, namespace: shop, labels: {app.kubernetes.io/managed-by: meshknot},
			    annotations: {meshknot.io/source: "Service/shop/reviews,TrafficSplit/shop/default,TrafficSplit/shop/never,TrafficSplit/shop/s"}},
			  spec: {hosts: [reviews.shop.svc.cluster.local], gateways: [mesh], exportTo: ["*"], tcp: [
			    {match: [{port: 6379}], route: [
			      {destination: {host: v1.shop.svc.cluster.local, port: {number: 6379}}, weight: 1},
			      {destination: {host: missing-backend.meshknot.invalid}, weight: 1}]}]}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, found := made(t, ir.Unit{Service: &tt.service}, tt.target)
			if len(found) > 0 {
				t.Errorf("findings: %v", found)
			}
			if tt.want == "" {
				if len(out) > 0 {
					t.Errorf("made %s", encode(t, out[0].Payload))
				}
				return
			}
			same(t, out[0].Payload, tt.want)
			readable(t, out[0].Payload.(object)["spec"])
		})
	}
}

// Every HTTP port is in the object, also one that leads to itself, for its
// retries; other TCP ports are not.
func TestSeveralPorts(t *testing.T) {
	s := reviews(9080, ir.HTTP, route("s", []ir.Match{all()}, to("v1", 9080, 1)))
	s.Ports = append(s.Ports, reviews(9090, ir.GRPC).Ports[0], reviews(53, ir.UDP).Ports[0], reviews(6379, ir.TCP).Ports[0])
	out, _ := made(t, ir.Unit{Service: &s}, translators.Target{})
	spec := specs(out, "VirtualService")[0].(object)
	same(t, spec["http"], `[
	  {name: s, match: [{port: 9080}], retries: {attempts: 0}, route: [{destination: {host: v1.shop.svc.cluster.local, port: {number: 9080}}}]},
	  {name: default, match: [{port: 9090}], retries: {attempts: 0}, route: [{destination: {host: reviews.shop.svc.cluster.local, port: {number: 9090}}}]}]`)
	if spec["tcp"] != nil {
		t.Errorf("tcp: %v", spec["tcp"])
	}
}

func TestWeights(t *testing.T) {
	tests := []struct {
		name    string
		weights []uint32
		exact   bool
		want    []int64
	}{
		{"as they are", []uint32{50, 25}, true, []int64{50, 25}},
		{"the largest sum that fits", []uint32{math.MaxInt32 - 1, 1}, true, []int64{math.MaxInt32 - 1, 1}},
		{"divided without loss", []uint32{1 << 31, 1 << 30}, true, []int64{2, 1}},
		{"rounded", []uint32{1<<31 + 1, 1 << 30}, false, []int64{1431655763, 715827881}},
		{"a sum that does not fit", []uint32{math.MaxInt32, 1}, false, []int64{math.MaxInt32 - 3, 1}},
		{"rounded, but never to nothing", []uint32{math.MaxUint32 - 1, 1}, false, []int64{math.MaxInt32 - 3, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var backends []ir.Backend
			for i, w := range tt.weights {
				backends = append(backends, to(fmt.Sprint("v", i), 1, w))
			}
			if got, exact := int32Weights(backends); !slices.Equal(got, tt.want) || exact != tt.exact {
				t.Errorf("got %v exact %v, want %v", got, exact, tt.want)
			}
			s := reviews(9080, ir.HTTP, route("s", []ir.Match{all()}, backends...))
			if _, found := made(t, ir.Unit{Service: &s}, translators.Target{}); tt.exact != (len(found) == 0) {
				t.Errorf("findings: %v", found)
			}
		})
	}
}

// Istio multiplies a percentage by 10000 and cuts the rest off; every step has
// to survive that.
func TestPercentage(t *testing.T) {
	for steps := uint64(1); steps < 1_000_000; steps++ {
		percent, exact := percentage(steps, 1_000_000)
		if uint32(percent*10000) != uint32(steps) || !exact {
			t.Fatalf("%d millionths became %v, exact %v", steps, percent, exact)
		}
	}
	tests := []struct {
		name        string
		part, total uint64
		exact       bool
		want        float64
	}{
		{"a quarter", 1, 4, true, 25},
		{"a third", 1, 3, false, 33.3333},
		{"two thirds", 2, 3, false, 66.6667},
		{"next to nothing", 1, math.MaxUint32, false, 0.0001},
		{"next to all", math.MaxUint32 - 1, math.MaxUint32, false, 99.9999},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, exact := percentage(tt.part, tt.total); math.Abs(got-tt.want) > 2e-5 || exact != tt.exact {
				t.Errorf("got %v exact %v, want %v", got, exact, tt.want)
			}
		})
	}
}

// Istio refuses longer expressions; the match is left out and said, the others stay.
func TestLongExpression(t *testing.T) {
	expression := string(slices.Repeat([]byte("ab?"), 400))
	long, value := path(ir.MatchRegex, "/"+expression), header("x-a", ir.MatchRegex, expression)
	s := reviews(9080, ir.HTTP, route("s", []ir.Match{long, method("GET")}, to("v1", 9080, 1)), route("t", []ir.Match{value}, to("v2", 9080, 1)))
	out, found := made(t, ir.Unit{Service: &s}, translators.Target{})
	if got := codes(found); !slices.Equal(got, []report.Code{report.Lossy, report.Lossy}) {
		t.Errorf("findings %v", found)
	}
	same(t, specs(out, "VirtualService")[0].(object)["http"], `[
	  {name: s, match: [{port: 9080, method: {exact: GET}}], retries: {attempts: 0}, route: [{destination: {host: v1.shop.svc.cluster.local, port: {number: 9080}}}]},
	  `+last+`]`)
}

// A rounded share is said; one that comes out even is not.
func TestRoundedShare(t *testing.T) {
	for _, tt := range []struct {
		weight uint32
		want   []report.Code
	}{{2, []report.Code{report.WeightRounded}}, {3, nil}} {
		s := reviews(9080, ir.HTTP, route("s", []ir.Match{all()}, to("v1", 9080, tt.weight), missing("gone", 1)))
		if _, found := made(t, ir.Unit{Service: &s}, translators.Target{}); !slices.Equal(codes(found), tt.want) {
			t.Errorf("1 of %d missing: findings %v", tt.weight+1, found)
		}
	}
}

// Without a route for everything, which no front end leaves out, Istio's own stays.
func TestNoRouteForEverything(t *testing.T) {
	s := ir.Service{Namespace: "shop", Name: "reviews", Ports: []ir.Port{
		{Number: 6379, Protocol: ir.TCP, Routes: []ir.Route{route("s", []ir.Match{method("GET")}, to("v1", 6379, 1))}},
		{Number: 9080, Protocol: ir.HTTP, Routes: []ir.Route{route("s", []ir.Match{method("GET")}, to("v1", 9080, 1))}},
	}}
	out, _ := made(t, ir.Unit{Service: &s}, translators.Target{})
	if spec := specs(out, "VirtualService")[0].(object); spec["tcp"] != nil || len(spec["http"].([]any)) != 1 {
		t.Errorf("made %s", encode(t, spec))
	}
}
