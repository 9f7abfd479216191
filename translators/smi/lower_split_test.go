package smi_test

import (
	"testing"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

const halves = "{service: reviews, backends: [{service: v1, weight: 1}, {service: v2, weight: 1}]}"

func TestLowerSplit(t *testing.T) {
	betaToV2 := func(group string) string {
		return "{service: reviews, matches: [{kind: HTTPRouteGroup, name: " + group + "}], backends: [{service: v2, weight: 1}]}"
	}
	beta := routeGroup("beta", "{name: beta, headers: [{x-beta: 'yes'}]}")
	for _, c := range []struct {
		name     string
		settings input.Settings
		in       []string
		codes    []string
		want     []string // of reviews
	}{
		{name: "hole 1, root as its own backend", in: []string{shop, split("s", "{service: reviews, backends: [{service: reviews, weight: 9}, {service: v2, weight: 1}]}")},
			codes: []string{"info MK2001 TrafficSplit/s spec.backends[0].service"},
			want:  []string{"9080 HTTP: s [all] -> reviews:9080=9 v2:9080=1"}},
		{name: "hole 2, chained", in: []string{shop, split("s", halves), split("inner", "{service: v1, backends: [{service: v2, weight: 1}]}")},
			codes: []string{"info MK2002 TrafficSplit/s spec.backends[0].service"},
			want:  []string{"9080 HTTP: s [all] -> v1:9080=1 v2:9080=1"}},
		{name: "hole 3, qualified root", in: []string{shop, split("s", "{service: reviews.shop.svc.cluster.local, backends: [{service: v1.shop, weight: 1}]}")},
			want: []string{"9080 HTTP: s [all] -> v1:9080=1"}},
		{name: "hole 3, root of another kind of mesh", in: []string{shop, split("s", "{service: shop/reviews, backends: [{service: v1, weight: 1}]}")},
			codes: []string{"warning MK2003 TrafficSplit/s spec.service"},
			want:  []string{"9080 HTTP: s [all] -> v1:9080=1"}},
		{name: "hole 3, no name", in: []string{shop, split("s", "{service: 'reviews:9080', backends: [{service: v1, weight: 1}]}")},
			codes: []string{"error MK2003 TrafficSplit/s spec.service"}},
		{name: "hole 3, foreign root", in: []string{shop, split("s", "{service: reviews.blue, backends: [{service: v1, weight: 1}]}")},
			codes: []string{"error MK2004 TrafficSplit/s spec.service"}},
		{name: "hole 5, weight 0", in: []string{shop, split("s", "{service: reviews, backends: [{service: v1, weight: 0}, {service: v2, weight: 5}]}")},
			want: []string{"9080 HTTP: s [all] -> v1:9080=0 v2:9080=1"}},
		{name: "hole 6, all zero", in: []string{shop, split("s", "{service: reviews, backends: [{service: v1, weight: 0}, {service: v2, weight: 0}]}")},
			codes: []string{"error MK2005 TrafficSplit/s spec.backends"}},
		{name: "hole 8, missing backend", in: []string{shop, split("s", "{service: reviews, backends: [{service: v1, weight: 9}, {service: v3, weight: 1}]}")},
			codes: []string{"warning MK2007 TrafficSplit/s spec.backends[1].service"},
			want:  []string{"9080 HTTP: s [all] -> v1:9080=9 v3:9080=1!"}},
		{name: "hole 8, missing backend without weight", in: []string{shop, split("s", "{service: reviews, backends: [{service: v1, weight: 9}, {service: v3, weight: 0}]}")},
			codes: []string{"info MK2007 TrafficSplit/s spec.backends[1].service"},
			want:  []string{"9080 HTTP: s [all] -> v1:9080=1 v3:9080=0!"}},
		{name: "hole 9, missing port", in: []string{shop, service("cart", "reviews", http9080, "{name: http-b, port: 80}"), service("old", "v1", http9080, "{name: http-b, port: 8080, targetPort: 80}"),
			split("s", "{service: cart, backends: [{service: old, weight: 1}]}"), split("r", "{service: reviews, backends: [{service: cart, weight: 1}, {service: v1, weight: 1}]}")},
			codes: []string{"info MK2002 TrafficSplit/r spec.backends[0].service", "warning MK2036 TrafficSplit/s spec.backends", "warning MK2008 TrafficSplit/s spec.backends[0].service"},
			want:  []string{"9080 HTTP: r [all] -> cart:9080=1 v1:9080=1"}},
		{name: "hole 9, no backend has the port", in: []string{service("reviews", "reviews", http9080, "{name: http-b, port: 80}", "{name: dns, port: 53, protocol: UDP}"), service("v1", "v1", http9080, "{name: tcp, port: 53}"),
			split("s", "{service: reviews, backends: [{service: v1, weight: 1}]}")},
			codes: []string{"warning MK2036 TrafficSplit/s spec.backends", "warning MK2036 TrafficSplit/s spec.backends",
				"warning MK2008 TrafficSplit/s spec.backends[0].service", "warning MK2008 TrafficSplit/s spec.backends[0].service"},
			want: []string{"9080 HTTP: s [all] -> v1:9080=1"}},
		{name: "hole 10, two splits", in: []string{shop, split("b", halves), split("a", "{service: reviews, backends: [{service: v1, weight: 1}]}")},
			codes: []string{"error MK2009 TrafficSplit/b spec.service"},
			want:  []string{"9080 HTTP: a [all] -> v1:9080=1"}},
		{name: "hole 10, the older wins", in: []string{shop, `
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: b, creationTimestamp: "2024-01-01T00:00:00Z"}
spec: {service: reviews, backends: [{service: v2, weight: 1}]}`, split("a", "{service: reviews, backends: [{service: v1, weight: 1}]}")},
			codes: []string{"error MK2009 TrafficSplit/a spec.service"},
			want:  []string{"9080 HTTP: b [all] -> v2:9080=1"}},
		{name: "hole 10, equal matches", in: []string{shop, beta, routeGroup("again", "{name: other, headers: [{X-Beta: ^yes$}]}"), split("a", betaToV2("beta")), split("b", betaToV2("again"))},
			codes: []string{"error MK2009 TrafficSplit/b spec.service"},
			want:  []string{"9080 HTTP: a [x-beta exact yes] -> v2:9080=1"}},
		{name: "hole 10, overlapping matches", in: []string{shop, beta, routeGroup("api", "{name: api, pathRegex: /api}"), split("a", betaToV2("beta")), split("b", betaToV2("api"))},
			codes: []string{"warning MK2009 TrafficSplit/b spec.service"},
			want:  []string{"9080 HTTP: a [x-beta exact yes] -> v2:9080=1", "9080 HTTP: b [prefix /api] -> v2:9080=1"}},
		{name: "hole 10, distinct matches compose", in: []string{shop, beta, routeGroup("nobeta", "{name: nobeta, headers: [{x-beta: 'no'}]}"), split("a", halves), split("b", betaToV2("beta")), split("c", betaToV2("nobeta"))},
			want: []string{"9080 HTTP: b [x-beta exact yes] -> v2:9080=1", "9080 HTTP: c [x-beta exact no] -> v2:9080=1", "9080 HTTP: a [all] -> v1:9080=1 v2:9080=1"}},
		{name: "hole 10, a match for everything leaves nothing", in: []string{shop, routeGroup("any", "{name: any, pathRegex: .*}"), split("a", betaToV2("any")), split("b", halves)},
			codes: []string{"warning MK2036 TrafficSplit/b spec"},
			want:  []string{"9080 HTTP: a [all] -> v2:9080=1"}},
		{name: "hole 11, unknown group", in: []string{shop, split("s", betaToV2("nosuch"))},
			codes: []string{"error MK2012 TrafficSplit/s spec.matches[0]"}},
		{name: "hole 11, group in error", in: []string{shop, routeGroup("beta", "{name: beta, methods: [get]}"), split("s", betaToV2("beta"))},
			codes: []string{"error MK2012 TrafficSplit/s spec.matches[0]", "error MK2019 HTTPRouteGroup/beta spec.matches[0].methods[0]"}},
		{name: "hole 11, bad expression", in: []string{shop, routeGroup("beta", "{name: beta, pathRegex: '(?=x)'}"), split("s", betaToV2("beta"))},
			codes: []string{"error MK2015 HTTPRouteGroup/beta spec.matches[0].pathRegex"}},
		{name: "hole 11, matches on TCP", in: []string{service("reviews", "reviews", "{name: mysql, port: 3306}", http9080), service("v2", "v2", "{port: 3306}", http9080), beta, split("s", betaToV2("beta"))},
			codes: []string{"info MK2023 Service/v2 spec.ports[0]", "warning MK2032 TrafficSplit/s spec.matches"},
			want:  []string{"9080 HTTP: s [x-beta exact yes] -> v2:9080=1"}},
		{name: "hole 21, foreign backend", in: []string{shop, split("s", "{service: reviews, backends: [{service: v1, weight: 3}, {service: blue/v2, weight: 1}]}")},
			codes: []string{"error MK2004 TrafficSplit/s spec.backends[1].service"},
			want:  []string{"9080 HTTP: s [all] -> blue.v2:9080=1! v1:9080=3"}},
		{name: "same backend twice", in: []string{shop, split("s", "{service: reviews, backends: [{service: v1, weight: 3}, {service: v1.shop, weight: 1}]}")},
			codes: []string{"error MK2035 TrafficSplit/s spec.backends[1].service"}},
		{name: "TCP is split too", in: []string{service("reviews", "r", "{name: tcp, port: 1}"), service("v1", "v", "{name: tcp, port: 1}"), split("s", "{service: reviews, backends: [{service: v1, weight: 3}]}")},
			want: []string{"1 TCP: s [all] -> v1:1=1"}},
		{name: "protocol from a split", in: []string{service("reviews", "r", "{port: 1}"), service("v1", "v", "{port: 1}"), split("s", "{service: reviews, backends: [{service: v1, weight: 3}]}")},
			codes: []string{"info MK2023 Service/reviews spec.ports[0]", "info MK2023 Service/v1 spec.ports[0]"},
			want:  []string{"1 HTTP: s [all] -> v1:1=1"}},
		{name: "open world", in: []string{split("s", halves)},
			codes: []string{"info MK2022 TrafficSplit/s spec.backends[0]", "info MK2022 TrafficSplit/s spec.backends[1]", "info MK2022 TrafficSplit/s spec.service"},
			want:  []string{"0 HTTP: s [all] -> v1:0=1 v2:0=1"}},
		{name: "closed world without a root", settings: input.Settings{Complete: true}, in: []string{split("s", halves)},
			codes: []string{"warning MK2036 TrafficSplit/s spec.service"}},
		{name: "rejected", in: []string{shop, split("s", "{service: reviews, backendz: [], backends: [{service: v1, weight: 1}]}"), split("t", halves)},
			codes: []string{"error MK1002 TrafficSplit/s spec.backendz"},
			want:  []string{"9080 HTTP: t [all] -> v1:9080=1 v2:9080=1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := lower(t, c.settings, c.in...)
			check(t, "routes", w.routes("reviews"), c.want...)
			check(t, "findings", w.codes(), c.codes...)
		})
	}
}

func TestConflictNamesTheWinner(t *testing.T) {
	w := lower(t, input.Settings{}, shop, split("b", halves), split("a", halves))
	for _, f := range w.found {
		if f.Code == report.SplitConflict {
			if len(f.Related) != 1 || f.Related[0].Name != "a" {
				t.Errorf("related: %v, want TrafficSplit a", f.Related)
			}
			return
		}
	}
	t.Error("no conflict reported")
}
