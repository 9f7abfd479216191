package smi_test

import (
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators/input"
)

// ports has a port of each sort: web and its twin share one on the pods.
var ports = service("reviews", "reviews", "{name: http, port: 80, targetPort: 8080}", "{name: http-twin, port: 81, targetPort: 8080}",
	"{name: http-admin, port: 90}", "{name: tcp-db, port: 3306, targetPort: 13306}", "{name: dns, port: 53, protocol: UDP}")

func TestLowerAccess(t *testing.T) {
	paths := routeGroup("paths", "{name: a, pathRegex: /a$, methods: [GET]}, {name: b, pathRegex: /b$}")
	plain := []string{shop, paths, tcpRoute("main", "9080"), tcpRoute("all", "")}
	rich := []string{ports, app("reviews"), account("web"), paths, tcpRoute("p80", "80"), tcpRoute("p90", "90"), tcpRoute("all", "")}
	with := func(base []string, more ...string) []string { return append(append([]string{}, base...), more...) }
	osm, traefik := input.Settings{Dialect: "osm"}, input.Settings{Dialect: "traefik"}
	for _, c := range []struct {
		name     string
		settings input.Settings
		in       []string
		codes    []string
		want     []string // of account reviews
	}{
		{name: "hole 12, no rules", in: with(plain, target("t", "")),
			codes: []string{"error MK2010 TrafficTarget/t spec.rules"}, want: []string{"closed"}},
		{name: "hole 13, no sources", in: with(plain, `
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {name: t}
spec: {destination: {kind: ServiceAccount, name: reviews}, rules: [{kind: TCPRoute, name: main}]}`),
			codes: []string{"error MK2011 TrafficTarget/t spec.sources"}, want: []string{"closed"}},
		{name: "hole 14, omitted matches", in: with(plain, target("t", "{kind: HTTPRouteGroup, name: paths}")),
			want: []string{"closed", "t: spiffe://t/ns/shop/sa/web -> 9080 [exact /a & GET | exact /b]"}},
		{name: "hole 14, omitted matches in osm", settings: osm, in: with(plain, target("t", "{kind: HTTPRouteGroup, name: paths}")),
			codes: []string{"warning MK2036 TrafficTarget/t spec.rules[0]"}, want: []string{"closed"}},
		{name: "hole 15, unknown match", in: with(plain, target("t", "{kind: HTTPRouteGroup, name: paths, matches: [a, nosuch]}")),
			codes: []string{"error MK2013 TrafficTarget/t spec.rules[0].matches[1]"}, want: []string{"closed"}},
		{name: "hole 15, unknown match of a TCPRoute", in: with(plain, target("t", "{kind: TCPRoute, name: main, matches: [nosuch]}")),
			codes: []string{"error MK2013 TrafficTarget/t spec.rules[0].matches[0]"}, want: []string{"closed"}},
		{name: "hole 15, unknown route", in: with(plain, target("t", "{kind: HTTPRouteGroup, name: paths}, {kind: TCPRoute, name: nosuch}")),
			codes: []string{"error MK2012 TrafficTarget/t spec.rules[1]"}, want: []string{"closed"}},
		{name: "hole 15, bad expression", in: with(plain, routeGroup("bad", "{name: x, pathRegex: '/('}, {name: good, pathRegex: /y$}"), target("t", "{kind: HTTPRouteGroup, name: bad}")),
			codes: []string{"error MK2015 HTTPRouteGroup/bad spec.matches[0].pathRegex"}, want: []string{"closed"}},
		{name: "hole 16, match without constraint", in: with(plain, routeGroup("any", "{name: any, methods: ['*']}, {name: get, methods: [PUT, GET]}"), target("t", "{kind: HTTPRouteGroup, name: any}")),
			want: []string{"closed", "t: spiffe://t/ns/shop/sa/web -> 9080 [all | GET+PUT]"}},
		{name: "hole 17, port and path", in: with(rich, target("one", "{kind: TCPRoute, name: p90}, {kind: HTTPRouteGroup, name: paths, matches: [a]}"), target("two", "{kind: HTTPRouteGroup, name: paths, matches: [b]}")),
			want: []string{"closed", "one: spiffe://t/ns/shop/sa/web -> 90 [exact /a & GET]", "two: spiffe://t/ns/shop/sa/web -> 90 8080 [exact /b]"}},
		{name: "hole 17, path on TCP", in: with(rich, tcpRoute("db", "3306, 90"), target("t", "{kind: TCPRoute, name: db}, {kind: HTTPRouteGroup, name: paths, matches: [a]}")),
			codes: []string{"error MK2020 TCPRoute/db spec.matches.ports[0]"},
			want:  []string{"closed", "t: spiffe://t/ns/shop/sa/web -> 90 [exact /a & GET]"}},
		{name: "hole 17, path on TCP alone", in: []string{service("reviews", "reviews", "{name: tcp, port: 1}"), app("reviews"), account("web"), paths, target("t", "{kind: HTTPRouteGroup, name: paths}")},
			codes: []string{"error MK2020 TrafficTarget/t spec.rules[0]"}, want: []string{"closed"}},
		{name: "hole 18, ports of Services", in: with(rich, tcpRoute("db", "3306, 13306"), target("t", "{kind: TCPRoute, name: db}")),
			codes: []string{"error MK2021 TCPRoute/db spec.matches.ports[1]"},
			want:  []string{"closed", "t: spiffe://t/ns/shop/sa/web -> 13306 [all]"}},
		{name: "hole 18, ports of pods", settings: osm, in: with(rich, tcpRoute("db", "3306, 13306"), target("t", "{kind: TCPRoute, name: db}")),
			codes: []string{"error MK2021 TCPRoute/db spec.matches.ports[0]"},
			want:  []string{"closed", "t: spiffe://t/ns/shop/sa/web -> 13306 [all]"}},
		{name: "hole 18, shared target port", in: with(rich, target("t", "{kind: TCPRoute, name: p80}")),
			codes: []string{"warning MK2030 TCPRoute/p80 spec.matches.ports[0]"},
			want:  []string{"closed", "t: spiffe://t/ns/shop/sa/web -> 8080+reviews:81 [all]"}},
		{name: "all ports", in: with(rich, target("t", "{kind: TCPRoute, name: all}")),
			want: []string{"closed", "t: spiffe://t/ns/shop/sa/web -> 90 8080 13306 [all]"}},
		{name: "UDP", in: with(rich, "apiVersion: specs.smi-spec.io/v1alpha4\nkind: UDPRoute\nmetadata: {name: dns}\nspec: {matches: {ports: [53]}}", target("t", "{kind: UDPRoute, name: dns}, {kind: TCPRoute, name: all}")),
			codes: []string{"error MK2028 TrafficTarget/t spec.rules[0]"}, want: []string{"closed"}},
		{name: "hole 19, same route, two clients", in: with(plain, account("batch"), target("t", "{kind: HTTPRouteGroup, name: paths, matches: [a]}"), `
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {name: u}
spec: {destination: {kind: ServiceAccount, name: reviews}, sources: [{kind: ServiceAccount, name: batch}], rules: [{kind: HTTPRouteGroup, name: paths, matches: [a]}]}`),
			want: []string{"closed", "t: spiffe://t/ns/shop/sa/web -> 9080 [exact /a & GET]", "u: spiffe://t/ns/shop/sa/batch -> 9080 [exact /a & GET]"}},
		{name: "hole 20, TrafficTarget elsewhere", in: with(plain, "apiVersion: specs.smi-spec.io/v1alpha4\nkind: HTTPRouteGroup\nmetadata: {namespace: blue, \"name\": paths}\nspec: {matches: [{name: c, pathRegex: /c$}]}", `
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {namespace: blue, "name": t}
spec: {destination: {kind: ServiceAccount, name: reviews, namespace: shop}, sources: [{kind: ServiceAccount, name: web}], rules: [{kind: HTTPRouteGroup, name: c}]}`),
			codes: []string{"error MK2012 TrafficTarget/t spec.rules[0]"}, want: []string{"closed"}},
		{name: "hole 22, anchoring", in: with(plain, routeGroup("api", "{name: api, pathRegex: '/api|/v[0-9]+'}"), target("t", "{kind: HTTPRouteGroup, name: api}")),
			codes: []string{"warning MK2016 HTTPRouteGroup/api spec.matches[0].pathRegex"},
			want:  []string{"closed", "t: spiffe://t/ns/shop/sa/web -> 9080 [regex (?:/api|/v[0-9]+).*]"}},
		{name: "hole 22, anchoring in osm", settings: osm, in: with(plain, routeGroup("api", "{name: api, pathRegex: /api}"), target("t", "{kind: HTTPRouteGroup, name: api, matches: [api]}")),
			codes: []string{"warning MK2016 HTTPRouteGroup/api spec.matches[0].pathRegex"},
			want:  []string{"closed", "t: spiffe://t/ns/shop/sa/web -> 9080 [exact /api]"}},
		{name: "hole 22, anchoring said by the group", in: with(plain, `
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: api, annotations: {meshknot.io/smi-dialect: osm}}
spec: {matches: [{name: api, pathRegex: /api}]}`, target("t", "{kind: HTTPRouteGroup, name: api}")),
			want: []string{"closed", "t: spiffe://t/ns/shop/sa/web -> 9080 [exact /api]"}},
		{name: "hole 22, no such dialect", in: with(plain, `
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: api, annotations: {meshknot.io/smi-dialect: linkerd}}
spec: {matches: [{name: api, pathRegex: /api}]}`, target("t", "{kind: HTTPRouteGroup, name: api}")),
			codes: []string{`error MK1015 HTTPRouteGroup/api metadata.annotations["meshknot.io/smi-dialect"]`}, want: []string{"closed"}},
		{name: "hole 22, dead paths", in: with(plain, routeGroup("dead", "{name: q, pathRegex: '/a[?]b=1$'}, {name: r, pathRegex: api$}, {name: d, pathRegex: //a$}, {name: ok, pathRegex: '/x$|y$'}"), target("t", "{kind: HTTPRouteGroup, name: dead}")),
			codes: []string{"warning MK2017 HTTPRouteGroup/dead spec.matches[0].pathRegex", "warning MK2017 HTTPRouteGroup/dead spec.matches[1].pathRegex", "warning MK2017 HTTPRouteGroup/dead spec.matches[2].pathRegex"},
			want:  []string{"closed", "t: spiffe://t/ns/shop/sa/web -> 9080 [exact /a?b=1 | exact api | exact //a | exact /x | exact y]"}},
		{name: "hole 23, headers", in: with(plain, routeGroup("h", "{name: h, headers: [{X-A: v1|v2}, {x-b: 'v.*'}]}"), target("t", "{kind: HTTPRouteGroup, name: h}")),
			want: []string{"closed", "t: spiffe://t/ns/shop/sa/web -> 9080 [x-a exact v1 & x-b prefix v | x-a exact v2 & x-b prefix v]"}},
		{name: "hole 23, headers in traefik", settings: traefik, in: with(plain, routeGroup("h", "{name: h, headers: [{x-a: v}]}"), target("t", "{kind: HTTPRouteGroup, name: h}")),
			want: []string{"closed", "t: spiffe://t/ns/shop/sa/web -> 9080 [x-a exact v]"}},
		{name: "hole 24, open", in: plain, want: []string{"open"}},
		{name: "hole 24, strict", settings: input.Settings{Access: "strict"}, in: plain, want: []string{"closed"}},
		{name: "hole 24, off", settings: input.Settings{Access: "off"}, in: with(plain, target("t", "{kind: TCPRoute, name: main}")), want: []string{"open"}},
		{name: "hole 26, one Service, two accounts", in: with(plain, `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: debug}
spec: {selector: {}, serviceName: debug, template: {metadata: {labels: {app: reviews, debug: "true"}}, spec: {serviceAccount: debug, containers: []}}}`, target("t", "{kind: TCPRoute, name: main}")),
			codes: []string{"warning MK2031 Deployment/reviews "},
			want:  []string{"closed", "t: spiffe://t/ns/shop/sa/web -> 9080 [all]"}},
		{name: "hole 26, account without pods", in: with(plain, `
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {name: t}
spec: {destination: {kind: ServiceAccount, name: ghost}, sources: [{kind: ServiceAccount, name: wbe}], rules: [{kind: TCPRoute, name: main}]}`),
			codes: []string{"warning MK2024 TrafficTarget/t spec.destination", "warning MK2026 TrafficTarget/t spec.destination", "warning MK2026 TrafficTarget/t spec.sources[0]"},
			want:  []string{"open"}},
		{name: "open world, HTTP", in: []string{paths, target("t", "{kind: HTTPRouteGroup, name: paths, matches: [b]}")},
			codes: []string{"warning MK2025 TrafficTarget/t spec.destination"},
			want:  []string{"closed", "t: spiffe://t/ns/shop/sa/web -> 0 [exact /b]"}},
		{name: "open world, TCP", in: []string{tcpRoute("all", ""), target("t", "{kind: TCPRoute, name: all}")},
			codes: []string{"warning MK2024 TrafficTarget/t spec.destination", "warning MK2025 TrafficTarget/t spec.destination"},
			want:  []string{"closed"}},
		{name: "open world, TCP on the pods", settings: osm, in: []string{tcpRoute("db", "3306"), target("t", "{kind: TCPRoute, name: db}")},
			codes: []string{"warning MK2025 TrafficTarget/t spec.destination"},
			want:  []string{"closed", "t: spiffe://t/ns/shop/sa/web -> 3306 [all]"}},
		{name: "port of an old version", in: with(rich, `
apiVersion: access.smi-spec.io/v1alpha1
kind: TrafficTarget
metadata: {name: t}
destination: {kind: ServiceAccount, name: reviews, port: "90"}
sources: [{kind: ServiceAccount, name: web}]
specs: [{kind: HTTPRouteGroup, name: paths, matches: [b]}]`),
			codes: []string{"info MK2029 TrafficTarget/t destination.port"},
			want:  []string{"closed", "t: spiffe://t/ns/shop/sa/web -> 90 [exact /b]"}},
		{name: "port of an old version, open world", in: []string{paths, `
apiVersion: access.smi-spec.io/v1alpha2
kind: TrafficTarget
metadata: {name: t}
spec: {destination: {kind: ServiceAccount, name: reviews, port: 90}, sources: [{kind: ServiceAccount, name: web}], rules: [{kind: HTTPRouteGroup, name: paths, matches: [b]}]}`},
			codes: []string{"warning MK2024 TrafficTarget/t spec.destination", "warning MK2025 TrafficTarget/t spec.destination", "info MK2029 TrafficTarget/t spec.destination.port"},
			want:  []string{"closed"}},
		{name: "open world, port and path", in: []string{paths, tcpRoute("p80", "80"), target("t", "{kind: TCPRoute, name: p80}, {kind: HTTPRouteGroup, name: paths}")},
			codes: []string{"warning MK2024 TrafficTarget/t spec.destination", "warning MK2025 TrafficTarget/t spec.destination"},
			want:  []string{"closed"}},
		{name: "open world, all ports and path", in: []string{paths, tcpRoute("all", ""), target("t", "{kind: TCPRoute, name: all}, {kind: HTTPRouteGroup, name: paths, matches: [b]}")},
			codes: []string{"warning MK2025 TrafficTarget/t spec.destination"},
			want:  []string{"closed", "t: spiffe://t/ns/shop/sa/web -> 0 [exact /b]"}},
		{name: "protocol from HTTP rules with the port of an old version", in: []string{service("reviews", "reviews", "{name: a, port: 1}", "{name: b, port: 2}"), app("reviews"), account("web"), paths, `
apiVersion: access.smi-spec.io/v1alpha2
kind: TrafficTarget
metadata: {name: t}
spec: {destination: {kind: ServiceAccount, name: reviews, port: 2}, sources: [{kind: ServiceAccount, name: web}], rules: [{kind: HTTPRouteGroup, name: paths, matches: [b]}]}`},
			codes: []string{"info MK2023 Service/reviews spec.ports[1]", "info MK2029 TrafficTarget/t spec.destination.port"},
			want:  []string{"closed", "t: spiffe://t/ns/shop/sa/web -> 2 [exact /b]"}},
		{name: "a destination of no known kind", in: with(plain, strings.Replace(target("t", "{kind: TCPRoute, name: main}"), "kind: ServiceAccount", "kind: Deployment", 1)),
			codes: []string{"error MK2027 TrafficTarget/t spec.destination.kind"}, want: []string{"closed"}},
		{name: "hole 18, ports of pods in traefik, paths from the start", settings: traefik, in: with(rich, routeGroup("api", "{name: api, pathRegex: /api/.*}"), tcpRoute("admin", "90"), target("t", "{kind: TCPRoute, name: admin}, {kind: HTTPRouteGroup, name: api}")),
			want: []string{"closed", "t: spiffe://t/ns/shop/sa/web -> 90 [prefix /api/]"}},
		{name: "hole 22, anchoring in traefik", settings: traefik, in: with(rich, tcpRoute("pods", "8080, 13306"), routeGroup("api", "{name: api, pathRegex: /api}"), target("t", "{kind: HTTPRouteGroup, name: api}"), target("u", "{kind: TCPRoute, name: pods}")),
			codes: []string{"warning MK2016 HTTPRouteGroup/api spec.matches[0].pathRegex"},
			want:  []string{"closed", "t: spiffe://t/ns/shop/sa/web -> 90 8080 [prefix /api]", "u: spiffe://t/ns/shop/sa/web -> 8080 13306 [all]"}},
		{name: "protocol from HTTP rules", in: []string{service("reviews", "reviews", "{name: a, port: 1}", "{name: b, port: 2}"), app("reviews"), account("web"), paths, tcpRoute("one", "1"),
			target("t", "{kind: TCPRoute, name: one}, {kind: HTTPRouteGroup, name: paths, matches: [b]}")},
			codes: []string{"info MK2023 Service/reviews spec.ports[0]"},
			want:  []string{"closed", "t: spiffe://t/ns/shop/sa/web -> 1 [exact /b]"}},
		{name: "rejected", in: with(plain, target("t", "{kind: TCPRoute, name: main}, {kind: TCPRoute, nam: x}")),
			codes: []string{"error MK1002 TrafficTarget/t spec.rules[1].nam"}, want: []string{"closed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := lower(t, c.settings, c.in...)
			check(t, "access", w.access("reviews"), c.want...)
			check(t, "findings", w.codes(), c.codes...)
		})
	}
}

func TestBindings(t *testing.T) {
	bound := func(name, schemes string) string {
		return "apiVersion: access.smi-spec.io/v1alpha4\nkind: IdentityBinding\nmetadata: {name: " + name + "}\nspec: {schemes: " + schemes + "}"
	}
	from := func(kind, name, source string) string {
		return "apiVersion: access.smi-spec.io/v1alpha4\nkind: TrafficTarget\nmetadata: {name: t}\nspec: {destination: {kind: " + kind + ", name: " + name +
			"}, sources: [{kind: IdentityBinding, name: " + source + "}], rules: [{kind: TCPRoute, name: main}]}"
	}
	plain := shop + "\n---\n" + tcpRoute("main", "9080")
	for _, c := range []struct {
		name  string
		in    []string
		codes []string
		want  []string // of account reviews
	}{
		{"source", []string{plain, bound("partner", "{serviceAccount: web, spiffeIdentities: [spiffe://x.example/a]}"), from("ServiceAccount", "reviews", "partner")},
			[]string{"info MK2034 TrafficTarget/t spec.sources[0]"}, []string{"closed", "t: spiffe://x.example/a spiffe://t/ns/shop/sa/web -> 9080 [all]"}},
		{"unknown source", []string{plain, from("ServiceAccount", "reviews", "web")},
			[]string{"error MK2026 TrafficTarget/t spec.sources[0]"}, []string{"closed"}},
		{"source by labels", []string{plain, bound("b", "{podLabelSelector: {matchLabels: {app: web}}}"), from("ServiceAccount", "reviews", "b")},
			[]string{"error MK2034 TrafficTarget/t spec.sources[0]"}, []string{"closed"}},
		{"source elsewhere", []string{plain, strings.ReplaceAll(bound("b", "{serviceAccount: web}"), "metadata: {name:", "metadata: {namespace: blue, 'name':"), strings.Replace(from("ServiceAccount", "reviews", "b"), "name: b}", "name: b, namespace: blue}", 1)},
			[]string{"error MK2004 TrafficTarget/t spec.sources[0]"}, []string{"closed"}},
		{"destination", []string{plain, bound("b", "{serviceAccount: reviews}"), bound("w", "{serviceAccount: web}"), from("IdentityBinding", "b", "w")},
			[]string{"info MK2034 TrafficTarget/t spec.destination", "info MK2034 TrafficTarget/t spec.sources[0]"}, []string{"closed", "t: spiffe://t/ns/shop/sa/web -> 9080 [all]"}},
		{"unknown destination", []string{plain, bound("w", "{serviceAccount: web}"), from("IdentityBinding", "reviews", "w")},
			[]string{"error MK2026 TrafficTarget/t spec.destination"}, []string{"open"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := lower(t, input.Settings{}, c.in...)
			check(t, "access", w.access("reviews"), c.want...)
			check(t, "findings", w.codes(), c.codes...)
		})
	}
}
