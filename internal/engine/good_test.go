package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

const shopTarget = `apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {name: web, namespace: shop}
spec:
  destination: {kind: ServiceAccount, name: web, namespace: shop}
  rules: [{kind: HTTPRouteGroup, name: web}]
  sources: [%s]
`

const shopGroup = `apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: web, namespace: shop}
spec: {matches: [%s]}
`

const (
	api   = `{name: api, pathRegex: "/api", methods: [GET]}`
	items = `{name: items, pathRegex: "/items", methods: [GET]}`
	// odd cannot be said by Istio.
	odd = `{name: odd, pathRegex: "/odd/[0-9]+x", methods: [GET]}`
)

// target writes the TrafficTarget of the shop for accounts of it.
func target(sources ...string) string {
	var list []string
	for _, s := range sources {
		list = append(list, "{kind: ServiceAccount, name: "+s+", namespace: shop}")
	}
	return fmt.Sprintf(shopTarget, strings.Join(list, ", "))
}

func group(matches ...string) string { return fmt.Sprintf(shopGroup, strings.Join(matches, ", ")) }

// keeping is an engine that keeps what is good for a bound, and has the shop.
func keeping(t *testing.T, b engine.Bound) *engine.Engine {
	t.Helper()
	e := engine.New(all.Pipeline(), nil, nil)
	e.KeepGood(true)
	e.Bind(input.Settings{Complete: true}, nil, []engine.Bound{b})
	give(e, read(t, []byte(shop)))
	return e
}

// allowed lists which of some calls to the shop are allowed by what a bound has.
func allowed(e *engine.Engine) string {
	m, _ := e.Made(ir.Key{Kind: ir.KindWorkload, Namespace: "shop", Name: "web"})
	if len(m.Pieces) != 1 {
		return "no piece"
	}
	model := semantics.New([]ir.Unit{m.Pieces[0].Unit})
	var out []string
	for _, account := range []string{"edge", "other"} {
		for _, path := range []string{"/api", "/items", "/odd/1x"} {
			q := semantics.Request{From: &ir.Identity{Namespace: "shop", Account: account}, Method: "GET", Path: path}
			if ok, _ := model.Admits(ir.Name{Namespace: "shop", Name: "web"}, 80, ir.ServicePort{}, q); ok {
				out = append(out, account+path)
			}
		}
	}
	return strings.Join(out, " ")
}

func codes(found report.Report) (out []report.Code) {
	for _, f := range found {
		if f.Code != report.Implicit {
			out = append(out, f.Code)
		}
	}
	return out
}

// Access is what the last good and the expressible part of the new have in common:
// what is added waits, what is taken away is gone at once, and both come true as
// soon as all of it can be said.
func TestAccessKeepsWhatWasGood(t *testing.T) {
	e := keeping(t, bound("a", "istio", "shop"))
	for i, step := range []struct {
		name, text, want string
		kept             bool
	}{
		{"good", target("edge"), "edge/api", false},
		{"a match more", group(api, items), "edge/api edge/items", false},
		{"a part that cannot be said", group(api, items, odd), "edge/api edge/items", true},
		{"a source more waits", target("edge", "other"), "edge/api edge/items", true},
		{"a match that is taken away", group(api, odd), "edge/api", true},
		{"it comes back, as it was good", group(api, items, odd), "edge/api edge/items", true},
		{"a source that is taken away", target("other"), "", true},
		{"all of it can be said", group(items), "other/items", false},
		{"what was good is another now", group(api, items, odd), "other/items", true},
		{"nothing that was good is left", group(api, odd), "", true},
		{"good again", group(api), "other/api", false},
	} {
		give(e, read(t, []byte(step.text)))
		if got := allowed(e); got != step.want {
			t.Errorf("step %d, %s: %q is allowed, want %q", i, step.name, got, step.want)
		}
		m, _ := e.Made(ir.Key{Kind: ir.KindWorkload, Namespace: "shop", Name: "web"})
		p := m.Pieces[0]
		if p.Kept != step.kept || slices.Contains(codes(p.Findings), report.Kept) != step.kept ||
			slices.Contains(codes(p.Findings), report.Refused) != step.kept || !p.Unit.Workload.Enforced || p.Withheld {
			t.Errorf("step %d, %s: kept %v, enforced %v, %v", i, step.name, p.Kept, p.Unit.Workload.Enforced, p.Findings)
		}
	}
}

// Without a last good, what can be said is in force, and a waiver lets it count as good.
func TestAccessWithoutALastGood(t *testing.T) {
	e := engine.New(all.Pipeline(), nil, nil)
	e.KeepGood(true)
	b := bound("a", "istio", "shop")
	e.Bind(input.Settings{}, nil, []engine.Bound{b})
	give(e, read(t, []byte(strings.ReplaceAll(shop, "{name: api, pathRegex: /api, methods: [GET]}", api+", "+odd))))
	if got := allowed(e); got != "edge/api" {
		t.Errorf("%q is allowed", got)
	}
	give(e, read(t, []byte(group(api, items, odd)))) // nothing was good yet
	if got := allowed(e); got != "edge/api edge/items" {
		t.Errorf("%q is allowed", got)
	}
	b.Waivers = []feature.Waiver{{Code: report.Refused, Object: report.Ref{Kind: "HTTPRouteGroup", Namespace: "shop", Name: "web"}, Reason: "known"}}
	e.Bind(input.Settings{}, nil, []engine.Bound{b})
	m, _ := e.Made(ir.Key{Kind: ir.KindWorkload, Namespace: "shop", Name: "web"})
	if m.Pieces[0].Kept || allowed(e) != "edge/api edge/items" {
		t.Errorf("kept, with a waiver: %v", m.Pieces[0].Findings)
	}
}

// A gate holds back of access what would lose more than it lets pass, and nothing else.
func TestAccessWithinAGate(t *testing.T) {
	b := bound("a", "istio", "shop")
	b.Version, b.Gate = "1.30", report.Approximated
	e := keeping(t, b) // whose headers are compared after they are joined: narrowed
	header := `{name: odd, pathRegex: "/odd/1x", methods: [GET], headers: [{a: b}]}`
	give(e, read(t, []byte(target("edge", "other")+"---\n"+group(items, header))))
	m, _ := e.Made(ir.Key{Kind: ir.KindWorkload, Namespace: "shop", Name: "web"})
	p := m.Pieces[0]
	if !p.Kept || allowed(e) != "" || !slices.Contains(codes(p.Findings), report.BeyondGate) {
		t.Errorf("kept %v, %q allowed, %v", p.Kept, allowed(e), p.Findings)
	}
	e = engine.New(all.Pipeline(), nil, nil)
	e.KeepGood(true)
	e.Bind(input.Settings{}, nil, []engine.Bound{b})
	give(e, read(t, []byte(strings.ReplaceAll(shop, "{name: api, pathRegex: /api, methods: [GET]}", items+", "+header))))
	if got := allowed(e); got != "edge/items" {
		t.Errorf("%q is allowed without a last good", got)
	}
	for _, g := range m.Pieces[0].Unit.Workload.Grants {
		t.Error(g)
	}
}

const split = `---
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: web, namespace: shop}
spec: {service: web, backends: [{service: web, weight: %d}, {service: canary, weight: %d}]%s}
---
apiVersion: v1
kind: Service
metadata: {name: canary, namespace: shop}
spec: {clusterIP: 10.0.0.2, selector: {app: canary}, ports: [{name: http, port: 80}]}
`

// Routes stay what they were where they would lose more than the gate lets pass, and
// follow again when they do not; what is new and does is not made.
func TestRoutesKeepWhatWasGood(t *testing.T) {
	b := bound("a", "istio", "shop")
	b.Gate = report.Exact
	b.Waivers = nil
	key := ir.Key{Kind: ir.KindService, Namespace: "shop", Name: "web"}
	canary := func(e *engine.Engine) float64 {
		m, _ := e.Made(key)
		if len(m.Pieces) != 1 || m.Pieces[0].Unit.Service == nil {
			return -1
		}
		q := semantics.Request{Service: ir.Name{Namespace: "shop", Name: "web"}, Port: 80, Method: "GET", Path: "/api/x"}
		for _, s := range semantics.New([]ir.Unit{m.Pieces[0].Unit}).Decide(q).Shares {
			if s.Service.Name == "canary" {
				return s.Percent
			}
		}
		return 0
	}
	e := keeping(t, b)
	matched := ", matches: [{kind: HTTPRouteGroup, name: web}]"
	for i, step := range []struct {
		text string
		want float64
		kept bool
	}{
		{fmt.Sprintf(split, 90, 10, ""), 10, false},
		{fmt.Sprintf(split, 50, 50, matched), 10, true}, // by path: approximated
		{fmt.Sprintf(split, 40, 60, matched), 10, true},
		{fmt.Sprintf(split, 70, 30, ""), 30, false},
	} {
		s := give(e, read(t, []byte(step.text)))
		m, _ := e.Made(key)
		p := m.Pieces[0]
		if got := canary(e); got != step.want || p.Kept != step.kept || slices.Contains(codes(p.Findings), report.BeyondGate) != step.kept {
			t.Errorf("step %d: canary has %v, want %v; kept %v: %v", i, got, step.want, p.Kept, p.Findings)
		}
		if step.kept && len(s.Changed) > 0 {
			t.Errorf("step %d: wrote %v", i, written(s))
		}
	}
	give(e, read(t, []byte(fmt.Sprintf(split, 40, 60, matched))))
	b.Gate = report.Approximated
	e.Bind(input.Settings{Complete: true}, nil, []engine.Bound{b})
	if got := canary(e); got != 60 {
		t.Errorf("canary has %v after the gate was opened", got)
	}
	b.Gate = report.Exact
	fresh := engine.New(all.Pipeline(), nil, nil)
	fresh.KeepGood(true)
	fresh.Bind(input.Settings{}, nil, []engine.Bound{b})
	give(fresh, read(t, []byte(shop+fmt.Sprintf(split, 50, 50, matched))))
	if m, _ := fresh.Made(key); !m.Pieces[0].Kept || len(m.Pieces[0].Artifacts) > 0 || canary(fresh) != -1 {
		t.Errorf("without a last good: %+v", m.Pieces[0])
	}
}

// Where the deny cannot be said of what a workload is now, it stays that of its last
// good, so one object holds up nobody else's; nothing to close holds up nobody either.
func TestDenyKeepsWhatWasGood(t *testing.T) {
	e := keeping(t, bound("a", "istio", "shop"))
	udp := strings.Replace(shop, "ports: [{name: http, port: 80}]", "ports: [{name: http, port: 80}, {name: dns, port: 53, protocol: UDP}]", 1)
	udp = strings.Replace(udp, "ports: [{containerPort: 8080}]", "ports: [{containerPort: 8080}, {containerPort: 53, protocol: UDP}]", 1)
	give(e, read(t, []byte(udp)))
	key := ir.Key{Kind: ir.KindWorkload, Namespace: "shop", Name: "web"}
	m, _ := e.Made(key)
	if out := e.Result().Outputs[0]; out.Withheld || !m.Pieces[0].Kept || allowed(e) != "edge/api" || len(m.Pieces[0].Artifacts) == 0 {
		t.Errorf("withheld %v, %q: %v", out.Withheld, allowed(e), m.Pieces[0].Findings)
	}
	give(e, read(t, []byte(target("other"))))
	if got := allowed(e); got != "" {
		t.Errorf("%q is allowed after it was taken away", got)
	}
	fresh := engine.New(all.Pipeline(), nil, nil)
	fresh.KeepGood(true)
	fresh.Bind(input.Settings{}, nil, []engine.Bound{bound("a", "istio", "shop")})
	give(fresh, read(t, []byte(udp)))
	if !fresh.Result().Outputs[0].Withheld {
		t.Error("without a last good the output is not withheld")
	}
	early := engine.New(all.Pipeline(), nil, nil)
	early.KeepGood(true)
	early.Bind(input.Settings{Complete: true}, nil, []engine.Bound{bound("a", "istio", "shop")})
	give(early, read(t, []byte(target("edge")+"---\n"+group(api))))
	if early.Result().Outputs[0].Withheld {
		t.Error("what closes an account without pods holds up the rest")
	}
	give(early, read(t, []byte(shop)))
	if got := allowed(early); got != "edge/api" {
		t.Errorf("%q is allowed once pods are there", got)
	}
}

// Off, which is the default, nothing is kept.
func TestNothingIsKeptUnlessAskedFor(t *testing.T) {
	e := engine.New(all.Pipeline(), []translators.Target{{Backend: "istio"}}, nil)
	give(e, read(t, []byte(shop)))
	give(e, read(t, []byte(target("edge", "other")+"---\n"+group(api, odd))))
	if got := allowed(e); got != "edge/api other/api" {
		t.Errorf("%q is allowed", got)
	}
}
