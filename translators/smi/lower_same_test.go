package smi_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
)

// What means nothing must change no unit.
func TestSameUnits(t *testing.T) {
	base := strings.Join([]string{shop, ports, routeGroup("paths", "{name: a, pathRegex: /a$, headers: [{x-a: v, x-b: w}]}"), tcpRoute("main", "9080, 80"),
		split("s", "{service: v1, matches: [{kind: HTTPRouteGroup, name: paths}], backends: [{service: v2, weight: 2}, {service: reviews, weight: 4}]}"),
		target("t", "{kind: TCPRoute, name: main}, {kind: HTTPRouteGroup, name: paths}"), target("u", "{kind: TCPRoute, name: main}")}, "\n---\n")
	base = strings.Replace(base, service("reviews", "reviews", http9080)+"\n---\n", "", 1) // ports has the same
	want := lower(t, input.Settings{}, base)
	if len(want.unit(ir.KindService, "shop", "v1").Service.Ports[0].Routes) != 2 || len(want.unit(ir.KindWorkload, "shop", "reviews").Workload.Grants) != 2 {
		t.Fatalf("the test's own input does not lower: %v", want.found)
	}
	documents := strings.Split(base, "\n---\n")
	for _, c := range []struct {
		name string
		in   string
	}{
		{"comments", strings.ReplaceAll(base, "\nkind:", "\n# a comment\nkind:")},
		{"labels and annotations", strings.ReplaceAll(base, "metadata: {name:", "metadata: {labels: {a: b}, annotations: {a.example/b: c}, resourceVersion: '7', uid: u, name:")},
		{"order of documents", strings.Join(reversed(documents), "\n---\n")},
		{"images and replicas", strings.ReplaceAll(strings.ReplaceAll(base, "image: echo", "image: echo:2, env: [{name: A, value: B}]"), "  template:", "  replicas: 7\n  template:")},
		{"weights of the same ratio", strings.ReplaceAll(strings.ReplaceAll(base, "weight: 2", "weight: 50"), "weight: 4", "weight: 100")},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.in == base {
				t.Fatal("nothing was changed")
			}
			got := lower(t, input.Settings{}, strings.ReplaceAll(c.in, "uid: u, name:", "uid: u, namespace: shop, name:"))
			if !reflect.DeepEqual(got.units, want.units) {
				t.Errorf("got %+v\nwant %+v", got.units, want.units)
			}
		})
	}
}

func reversed(in []string) []string {
	out := slices.Clone(in)
	slices.Reverse(out)
	return out
}

// The same split, target and routes in every version are the same units, but for
// the places that they are at.
func TestVersionsAreTheSameUnits(t *testing.T) {
	old := lower(t, input.Settings{}, shop, `
apiVersion: specs.smi-spec.io/v1alpha2
kind: HTTPRouteGroup
metadata: {name: paths}
matches: [{name: a, pathRegex: /a$, methods: [GET], headers: [{x-a: v}]}]
---
apiVersion: access.smi-spec.io/v1alpha1
kind: TrafficTarget
metadata: {name: t}
destination: {kind: ServiceAccount, name: reviews}
sources: [{kind: ServiceAccount, name: web}]
specs: [{kind: HTTPRouteGroup, name: paths}]
---
apiVersion: split.smi-spec.io/v1alpha1
kind: TrafficSplit
metadata: {name: s}
spec: {service: reviews, backends: [{service: v1, weight: 500m}, {service: v2, weight: 1}]}`)
	now := lower(t, input.Settings{}, shop,
		routeGroup("paths", "{name: a, pathRegex: /a$, methods: [GET], headers: {x-a: v}}"),
		target("t", "{kind: HTTPRouteGroup, name: paths, matches: [a]}"),
		split("s", "{service: reviews, backends: [{service: v1, weight: 1}, {service: v2, weight: 2}]}"))
	check(t, "routes", old.routes("reviews"), "9080 HTTP: s [all] -> v1:9080=1 v2:9080=2")
	check(t, "routes", now.routes("reviews"), old.routes("reviews")...)
	check(t, "access", old.access("reviews"), "closed", "t: spiffe://t/ns/shop/sa/web -> 9080 [exact /a & GET & x-a exact v]")
	check(t, "access", now.access("reviews"), old.access("reviews")...)
	for _, place := range []struct{ got, want string }{
		{old.unit(ir.KindWorkload, "shop", "reviews").Workload.Grants[0].Matches[0].PathRef.Field, "matches[0].pathRegex"},
		{now.unit(ir.KindWorkload, "shop", "reviews").Workload.Grants[0].Matches[0].PathRef.Field, "spec.matches[0].pathRegex"},
		{old.unit(ir.KindWorkload, "shop", "reviews").Workload.Grants[0].Sources[0].Ref.Field, "sources[0]"},
		{now.unit(ir.KindWorkload, "shop", "reviews").Workload.Because[0].Field, "spec.destination"},
	} {
		if place.got != place.want {
			t.Errorf("place %q, want %q", place.got, place.want)
		}
	}
}

// Both sides of a call must speak the same.
func TestProtocolsAgree(t *testing.T) {
	w := lower(t, input.Settings{}, app("reviews"), app("v1"), account("web"),
		service("reviews", "reviews", "{name: a, port: 1}", "{name: b, port: 2, targetPort: 20}", "{name: grpc, port: 3}", "{port: 4, appProtocol: https, name: http}"),
		service("v1", "v1", "{name: a, port: 1, targetPort: 10}"),
		routeGroup("paths", "{name: a, pathRegex: /a$}"), tcpRoute("two", "2"), target("t", "{kind: HTTPRouteGroup, name: paths}, {kind: TCPRoute, name: two}"),
		split("s", "{service: v1, backends: [{service: v1, weight: 1}]}"))
	want := map[ir.ServicePort]ir.Protocol{}
	for _, name := range []string{"reviews", "v1"} {
		for _, p := range w.unit(ir.KindService, "shop", name).Service.Ports {
			want[ir.ServicePort{Service: ir.Name{Namespace: "shop", Name: name}, Port: p.Number}] = p.Protocol
		}
	}
	if len(want) != 5 || want[ir.ServicePort{Service: ir.Name{Namespace: "shop", Name: "reviews"}, Port: 2}] != ir.HTTP ||
		want[ir.ServicePort{Service: ir.Name{Namespace: "shop", Name: "reviews"}, Port: 1}] != ir.TCP {
		t.Errorf("client side: %v", want)
	}
	for _, name := range []string{"reviews", "v1"} {
		for _, p := range w.unit(ir.KindWorkload, "shop", name).Workload.Ports {
			if got := p.Protocol; got != want[p.Services[0]] {
				t.Errorf("%v: %s at the client, %s at the server", p.Services[0], want[p.Services[0]], got)
			}
		}
	}
}

// In strict mode a namespace of which only a TrafficTarget speaks denies too.
func TestNamespaces(t *testing.T) {
	in := target("t", "{kind: TCPRoute, name: nosuch}")
	if w := lower(t, input.Settings{}, in); w.unit(ir.KindNamespace, "", "shop").Namespace != nil {
		t.Error("a namespace unit without strict mode")
	}
	w := lower(t, input.Settings{Access: "strict"}, in, strings.ReplaceAll(in, "namespace: shop}", "namespace: blue}"))
	for _, ns := range []string{"shop", "blue"} {
		if n := w.unit(ir.KindNamespace, "", ns).Namespace; n == nil || !n.Enforced {
			t.Errorf("namespace %s: %+v", ns, n)
		}
		if u := w.unit(ir.KindWorkload, ns, "reviews").Workload; ns == "shop" && (u == nil || !u.NamespaceDenies) {
			t.Errorf("workload %s/reviews: %+v", ns, u)
		}
	}
}
