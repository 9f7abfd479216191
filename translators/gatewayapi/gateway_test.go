package gatewayapi_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/gatewayapi"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/kube"
	"github.com/meshknot/meshknot/translators/passes"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

// drawn is a Gateway and its routes as they are drawn, in a form that is easily judged.
type drawn struct {
	listeners []string // hostnames; all on port 80, each once
	routes    []drawnRoute
}

type drawnRoute struct {
	kind    string
	section int // of a listener; -1 for all
	hosts   []string
}

func (r drawnRoute) name(i int) string { return fmt.Sprintf("r%d", i) }

var hostnames = rapid.SampledFrom([]string{"", "*.com", "*.b.com", "*.a.b.com", "b.com", "a.b.com", "x.a.b.com", "a.com", "net"})

func drawGateway(t *rapid.T, kinds ...string) drawn {
	d := drawn{listeners: rapid.SliceOfNDistinct(hostnames, 1, 4, rapid.ID).Draw(t, "listeners")}
	for range rapid.IntRange(0, 6).Draw(t, "routes") {
		d.routes = append(d.routes, drawnRoute{
			kind:    rapid.SampledFrom(kinds).Draw(t, "kind"),
			section: rapid.IntRange(-1, len(d.listeners)-1).Draw(t, "section"),
			hosts:   rapid.SliceOfNDistinct(hostnames.Filter(func(h string) bool { return h != "" }), 0, 3, rapid.ID).Draw(t, "hosts"),
		})
	}
	return d
}

// yaml writes the drawing. Each route matches its own path, and answers for it alone.
func (d drawn) yaml() string {
	var b strings.Builder
	b.WriteString("apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: edge}\nspec:\n  gatewayClassName: c\n  listeners:\n")
	for i, h := range d.listeners {
		fmt.Fprintf(&b, "  - {name: l%d, port: 80, protocol: HTTP", i)
		if h != "" {
			fmt.Fprintf(&b, ", hostname: %q", h)
		}
		b.WriteString("}\n")
	}
	for i, r := range d.routes {
		parent, match := "{name: edge}", fmt.Sprintf("{path: {value: /%s}}", r.name(i))
		if r.section >= 0 {
			parent = fmt.Sprintf("{name: edge, sectionName: l%d}", r.section)
		}
		if r.kind == "GRPCRoute" {
			match = fmt.Sprintf("{method: {service: %s}}", r.name(i))
		}
		hosts := ""
		if len(r.hosts) > 0 {
			hosts = fmt.Sprintf("  hostnames: [%q]\n", strings.Join(r.hosts, `", "`))
			hosts = strings.ReplaceAll(hosts, `\"`, `"`)
		}
		fmt.Fprintf(&b, "---\napiVersion: gateway.networking.k8s.io/v1\nkind: %s\nmetadata: {name: %s}\nspec:\n  parentRefs: [%s]\n%s  rules: [{matches: [%s], backendRefs: [{name: app, port: 80}]}]\n",
			r.kind, r.name(i), parent, hosts, match)
	}
	return b.String()
}

func matches(pattern, host string) bool {
	suffix, wildcard := strings.CutPrefix(pattern, "*")
	return pattern == "" || pattern == host || wildcard && strings.HasSuffix(host, suffix) && host != suffix
}

// listener returns the index of the most specific listener for a host: the exact
// one, else the longest; -1 where there is none.
func (d drawn) listener(host string) int {
	best := -1
	for i, l := range d.listeners {
		if matches(l, host) && (best < 0 || l == host || d.listeners[best] != host && len(l) > len(d.listeners[best])) {
			best = i
		}
	}
	return best
}

// Whatever hostnames Gateways and routes have: a request is answered by a route if
// and only if that is attached to the most specific listener for the host and has a
// hostname that covers it. Which host names make units of their own must not show.
func TestHostsLikeTheirReference(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := drawGateway(rt, "HTTPRoute")
		m := semantics.New(lowerAll(t, input.Settings{}, d.yaml()).units)
		host := rapid.SampledFrom([]string{"com", "b.com", "a.b.com", "x.a.b.com", "y.x.a.b.com", "c.com", "a.com", "net", "org"}).Draw(rt, "host")
		at := d.listener(host)
		for i, r := range d.routes {
			want := at >= 0 && (r.section < 0 || r.section == at) &&
				(len(r.hosts) == 0 || slices.ContainsFunc(r.hosts, func(h string) bool { return matches(h, host) }))
			got := m.Decide(semantics.Request{Gateway: ir.Name{Namespace: "shop", Name: "edge"}, Port: 80, Method: "GET",
				Path: "/" + r.name(i), Headers: map[string][]string{"host": {host}}})
			if (got.Route == "shop/"+r.name(i)) != want {
				rt.Fatalf("%s: route %s is taken: %s, want %v\n%s", host, r.name(i), got.Route, want, d.yaml())
			}
			if !want && got.Status != 404 {
				rt.Fatalf("%s: %s %d, want 404", host, got.Verdict, got.Status)
			}
		}
	})
}

// No listener mixes kinds of routes on one host, and who is refused for that is
// refused because of an older one that is not.
func TestKindsDoNotMix(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := drawGateway(rt, "HTTPRoute", "GRPCRoute")
		w := lowerAll(t, input.Settings{}, d.yaml())
		for _, u := range w.units {
			kinds := map[string]bool{}
			if u.VirtualHost == nil {
				continue
			}
			for _, r := range u.VirtualHost.Routes {
				if r.Name != "unmatched" {
					kinds[r.Ref.Kind] = true
				}
			}
			if len(kinds) > 1 {
				rt.Fatalf("%s mixes kinds\n%s", u.Key(), d.yaml())
			}
		}
		for _, f := range w.found {
			if f.Code != report.KindConflict {
				continue
			}
			winner := f.Related[0]
			if winner.Name >= f.Source.Name {
				rt.Fatalf("%s yields to %s\n%s", f.Source, winner, d.yaml())
			}
		}
		if len(d.routes) > 0 && slices.ContainsFunc(w.found, func(f report.Finding) bool { return f.Code == report.KindConflict && f.Source.Name == "r0" }) {
			rt.Fatalf("the oldest route yields\n%s", d.yaml())
		}
	})
}

// Who is refused himself stands in nobody's way.
func TestRefusedRouteRefusesNobody(t *testing.T) {
	d := drawn{listeners: []string{""}, routes: []drawnRoute{
		{"HTTPRoute", -1, []string{"a.com"}}, {"GRPCRoute", -1, []string{"a.com", "b.com"}}, {"HTTPRoute", -1, []string{"b.com"}},
	}}
	var refused []string
	for _, f := range lowerAll(t, input.Settings{}, d.yaml()).found {
		if f.Code == report.KindConflict {
			refused = append(refused, f.Source.Name+" for "+f.Related[0].Name)
		}
	}
	if !slices.Equal(refused, []string{"r1 for r0"}) {
		t.Errorf("refused: %v", refused)
	}
}

// A change of one route among many concerns the units of its own host names, what
// its parents say of it, and what it sends to: nothing else is made anew.
func TestOneRouteOfMany(t *testing.T) {
	const n = 50
	text := func(changed int) []byte {
		var b strings.Builder
		b.WriteString("apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: edge, namespace: shop}\n" +
			"spec: {gatewayClassName: c, listeners: [{name: web, port: 80, protocol: HTTP, hostname: '*.example.com'}]}\n")
		for i := range n {
			path := "/"
			if i == changed {
				path = "/changed"
			}
			fmt.Fprintf(&b, "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r%d, namespace: shop}\n"+
				"spec: {parentRefs: [{name: edge}], hostnames: [h%d.example.com], rules: [{matches: [{path: {value: %s}}], backendRefs: [{name: s%d, port: 80}]}]}\n",
				i, i, path, i)
		}
		return []byte(b.String())
	}
	p := translators.Pipeline{Frontends: []translators.Frontend{kube.Frontend(), gatewayapi.Frontend()}, Passes: passes.List()}
	store := func(changed int) *input.Store {
		set, found := input.ReadFiles([]input.File{{Name: "routes.yaml", Data: text(changed)}}, input.Options{Schemas: p.Schemas()})
		if len(found) > 0 {
			t.Fatal(found[0])
		}
		return input.NewStore(set, input.Settings{})
	}
	before := store(-1)
	keys := p.Keys(before.Objects(), before.Reader())
	asked := map[ir.Key][]input.Question{}
	for _, k := range keys {
		r := before.Track()
		p.Compile(k, r)
		asked[k] = r.Asked()
	}
	changed := before.Become(store(7)).Questions
	var anew []string
	for _, k := range keys {
		if slices.ContainsFunc(asked[k], func(q input.Question) bool { return slices.Contains(changed, q) }) {
			anew = append(anew, k.String())
		}
	}
	want := []string{"Service shop/s7", "VirtualHost shop/edge:80:h7.example.com", "Route shop/HTTPRoute/r7"}
	if !slices.Equal(anew, want) {
		t.Errorf("made anew: %v, want %v", anew, want)
	}
}
