package gatewayapi_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshknot/meshknot/translators/gatewayapi"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

const services = `apiVersion: v1
kind: Service
metadata: {name: s}
spec: {selector: {app: s}, ports: [{name: http, port: 80}]}`

var (
	drawPath = rapid.SampledFrom([]string{"/", "/a", "/a/", "/a/b", "/ab", "/a/b/c"})
	drawName = rapid.SampledFrom([]string{"x", "y", "z"})
)

// drawMatch draws a match of conditions that often hold together.
func drawMatch(t *rapid.T) gatewayv1.HTTPRouteMatch {
	var m gatewayv1.HTTPRouteMatch
	if rapid.Bool().Draw(t, "has path") {
		kind := rapid.SampledFrom([]gatewayv1.PathMatchType{gatewayv1.PathMatchExact, gatewayv1.PathMatchPathPrefix}).Draw(t, "type")
		path := drawPath.Draw(t, "path")
		m.Path = &gatewayv1.HTTPPathMatch{Type: &kind, Value: &path}
	}
	if rapid.Bool().Draw(t, "has method") {
		method := rapid.SampledFrom([]gatewayv1.HTTPMethod{"GET", "POST"}).Draw(t, "method")
		m.Method = &method
	}
	for _, n := range rapid.SliceOfNDistinct(drawName, 0, 2, rapid.ID).Draw(t, "headers") {
		m.Headers = append(m.Headers, gatewayv1.HTTPHeaderMatch{Name: gatewayv1.HTTPHeaderName(n), Value: "1"})
	}
	for _, n := range rapid.SliceOfNDistinct(drawName, 0, 2, rapid.ID).Draw(t, "parameters") {
		m.QueryParams = append(m.QueryParams, gatewayv1.HTTPQueryParamMatch{Name: gatewayv1.HTTPHeaderName(n), Value: "1"})
	}
	return m
}

func drawRoutes(t *rapid.T) []gatewayv1.HTTPRoute {
	var out []gatewayv1.HTTPRoute
	for _, name := range rapid.SliceOfNDistinct(drawName, 1, 3, rapid.ID).Draw(t, "routes") {
		r := gatewayv1.HTTPRoute{TypeMeta: metav1.TypeMeta{APIVersion: "gateway.networking.k8s.io/v1", Kind: "HTTPRoute"}}
		r.Name, r.Namespace = name, "shop"
		if age := rapid.IntRange(0, 2).Draw(t, "age"); age > 0 {
			r.CreationTimestamp = metav1.NewTime(time.Date(2026, 1, age, 0, 0, 0, 0, time.UTC))
		}
		group, kind := gatewayv1.Group(""), gatewayv1.Kind("Service")
		r.Spec.ParentRefs = []gatewayv1.ParentReference{{Group: &group, Kind: &kind, Name: "s"}}
		for range rapid.IntRange(1, 3).Draw(t, "rules") {
			rule := gatewayv1.HTTPRouteRule{}
			for range rapid.IntRange(0, 2).Draw(t, "matches") {
				rule.Matches = append(rule.Matches, drawMatch(t))
			}
			port := gatewayv1.PortNumber(80)
			ref := gatewayv1.BackendObjectReference{Name: "s", Port: &port}
			rule.BackendRefs = []gatewayv1.HTTPBackendRef{{BackendRef: gatewayv1.BackendRef{BackendObjectReference: ref}}}
			r.Spec.Rules = append(r.Spec.Rules, rule)
		}
		out = append(out, r)
	}
	return out
}

func drawRequest(t *rapid.T) semantics.Request {
	q := semantics.Request{Service: ir.Name{Namespace: "shop", Name: "s"}, Port: 80, Headers: map[string][]string{}}
	q.Method = rapid.SampledFrom([]string{"GET", "POST"}).Draw(t, "request method")
	q.Path = drawPath.Draw(t, "request path")
	for _, n := range rapid.SliceOfNDistinct(drawName, 0, 3, rapid.ID).Draw(t, "request headers") {
		q.Headers[n] = []string{"1"}
	}
	var params []string
	for _, n := range rapid.SliceOfNDistinct(drawName, 0, 3, rapid.ID).Draw(t, "request parameters") {
		params = append(params, n+"=1")
	}
	if len(params) > 0 {
		q.Path += "?" + strings.Join(params, "&")
	}
	return q
}

// candidate is a match that holds, by the words of the specification.
type candidate struct {
	exact, prefix, method, headers, query int
	created                               time.Time
	name                                  string
	rule                                  int
}

// judge reads a match as the specification says it.
func judge(m gatewayv1.HTTPRouteMatch, q semantics.Request) (c candidate, holds bool) {
	path, query, _ := strings.Cut(q.Path, "?")
	want, exact := "/", false
	if m.Path != nil {
		want, exact = *m.Path.Value, *m.Path.Type == gatewayv1.PathMatchExact
	}
	if exact {
		c.exact, holds = 1, path == want
	} else {
		elements, all := strings.Split(strings.Trim(want, "/"), "/"), strings.Split(strings.Trim(path, "/"), "/")
		c.prefix = max(1, len(strings.TrimRight(want, "/")))
		holds = want == "/" || len(all) >= len(elements) && slices.Equal(all[:len(elements)], elements)
	}
	if m.Method != nil {
		c.method, holds = 1, holds && q.Method == string(*m.Method)
	}
	for _, h := range m.Headers {
		c.headers, holds = c.headers+1, holds && len(q.Headers[string(h.Name)]) > 0
	}
	for _, p := range m.QueryParams {
		c.query, holds = c.query+1, holds && slices.Contains(strings.Split(query, "&"), string(p.Name)+"=1")
	}
	return c, holds
}

func (c candidate) before(o candidate) bool {
	age := func(t time.Time) int64 {
		if t.IsZero() {
			return 1 << 62
		}
		return t.Unix()
	}
	return cmp.Or(-cmp.Compare(c.exact, o.exact), -cmp.Compare(c.prefix, o.prefix), -cmp.Compare(c.method, o.method),
		-cmp.Compare(c.headers, o.headers), -cmp.Compare(c.query, o.query), cmp.Compare(age(c.created), age(o.created)),
		strings.Compare(c.name, o.name), cmp.Compare(c.rule, o.rule)) < 0
}

// expected is the name of the route that takes a request.
func expected(routes []gatewayv1.HTTPRoute, q semantics.Request) string {
	best, name := candidate{}, "unmatched"
	for _, r := range routes {
		for i, rule := range r.Spec.Rules {
			for _, m := range append(rule.Matches, make([]gatewayv1.HTTPRouteMatch, max(0, 1-len(rule.Matches)))...) {
				c, holds := judge(m, q)
				c.created, c.name, c.rule = r.CreationTimestamp.Time, r.Name, i
				if !holds || name != "unmatched" && !c.before(best) {
					continue
				}
				if best, name = c, r.Name; len(r.Spec.Rules) > 1 {
					name = fmt.Sprintf("%s/%d", r.Name, i)
				}
			}
		}
	}
	return name
}

// Whatever the routes and the request, the one is taken that the specification's
// precedence names.
func TestPrecedence(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		routes := drawRoutes(rt)
		texts := []string{services}
		for _, r := range routes {
			text, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			texts = append(texts, string(text))
		}
		w := lowerAll(t, input.Settings{}, texts...)
		model := semantics.New(w.units)
		for range 5 {
			q := drawRequest(rt)
			if got, want := model.Decide(q).Route, expected(routes, q); got != want {
				rt.Fatalf("%s %s %v goes to %s, want %s\n%s", q.Method, q.Path, q.Headers, got, want, strings.Join(texts[1:], "\n"))
			}
		}
		checkPorts(rt, w)
	})
}

// checkPorts checks what every port of a lowered Service has to fulfil.
func checkPorts(t *rapid.T, w world) {
	for _, u := range w.units {
		if u.Service == nil {
			continue
		}
		for _, p := range u.Service.Ports {
			for _, routes := range append([][]ir.Route{p.Routes}, views(p)...) {
				if len(routes) == 0 || !routes[len(routes)-1].MatchesAll() {
					t.Fatalf("%s: some request is left without a route: %+v", u.Key(), routes)
				}
				for _, r := range routes {
					if r.Answers() != (len(r.Backends) == 0) || len(r.Matches) == 0 {
						t.Fatalf("%s: route %+v", u.Key(), r)
					}
				}
			}
		}
	}
	for _, o := range w.store.Objects() {
		if _, ok := gatewayapi.Status(w.store.Reader(), o); ok && o.Rejected {
			t.Fatalf("%s has a status, and is in error", o.ID)
		}
	}
}

func views(p ir.Port) [][]ir.Route {
	var out [][]ir.Route
	for _, v := range p.Views {
		out = append(out, v.Routes)
	}
	return out
}
