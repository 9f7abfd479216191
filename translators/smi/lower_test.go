package smi_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/kube"
	"github.com/meshknot/meshknot/translators/passes"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/smi"
)

// world is what a text lowers to.
type world struct {
	units []ir.Unit
	found report.Report
}

// lower reads YAML and lowers it. Documents are in namespace shop unless they
// say otherwise.
func lower(t testing.TB, s input.Settings, texts ...string) world {
	t.Helper()
	p := translators.Pipeline{Frontends: []translators.Frontend{kube.Frontend(), smi.Frontend()}, Passes: passes.List()}
	set, read := input.Read([]string{"-"}, input.Options{Schemas: p.Schemas(), Stdin: strings.NewReader(inShop(strings.Join(texts, "\n---\n")))})
	units, found := p.Lower(input.NewStore(set, s))
	for _, u := range units {
		roundTrip(t, u)
	}
	return world{units, slices.Concat(read, found).Sorted()}
}

func inShop(text string) string {
	return strings.ReplaceAll(text, "metadata: {name:", "metadata: {namespace: shop, name:")
}

// roundTrip checks that a unit survives JSON.
func roundTrip(t testing.TB, u ir.Unit) {
	t.Helper()
	text, err := json.Marshal(u)
	if err != nil {
		t.Fatal(err)
	}
	var back ir.Unit
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, u) {
		t.Errorf("%s does not survive JSON (%v):\n%+v\n%+v", u.Key(), err, u, back)
	}
}

func (w world) unit(kind ir.UnitKind, namespace, name string) ir.Unit {
	for _, u := range w.units {
		if u.Key() == (ir.Key{Kind: kind, Namespace: namespace, Name: name}) {
			return u
		}
	}
	return ir.Unit{}
}

// routes renders a Service of shop: "port protocol: route [matches] -> backends".
func (w world) routes(name string) []string {
	s := w.unit(ir.KindService, "shop", name).Service
	if s == nil {
		return nil
	}
	var out []string
	for _, p := range s.Ports {
		for _, r := range p.Routes {
			if r.Name == "default" {
				continue
			}
			out = append(out, fmt.Sprintf("%d %s: %s%s -> %s", p.Number, p.Protocol, r.Name, matches(r.Matches), backends(r.Backends)))
		}
	}
	return out
}

func backends(in []ir.Backend) string {
	var out []string
	for _, b := range in {
		s := fmt.Sprintf("%s:%d=%d", b.Service.Name, b.Port, b.Weight)
		if b.Invalid != "" {
			s += "!"
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func matches(in []ir.Match) string {
	var out []string
	for _, m := range in {
		if m.IsAll() {
			out = append(out, "all")
			continue
		}
		parts := []string{}
		if m.Path.Kind != ir.MatchAny {
			parts = append(parts, string(m.Path.Kind)+" "+m.Path.Value)
		}
		if !m.AnyMethod() {
			parts = append(parts, strings.Join(m.Methods, "+"))
		}
		for _, h := range m.Headers {
			parts = append(parts, h.Name+" "+string(h.Value.Kind)+" "+h.Value.Value)
		}
		out = append(out, strings.Join(parts, " & "))
	}
	return " [" + strings.Join(out, " | ") + "]"
}

// access renders a workload of shop: "open", or "closed" and its grants.
func (w world) access(account string) []string {
	u := w.unit(ir.KindWorkload, "shop", account).Workload
	if u == nil {
		return nil
	}
	if !u.Enforced {
		return []string{"open"}
	}
	out := []string{"closed"}
	for _, g := range u.Grants {
		var sources, ports []string
		for _, s := range g.Sources {
			sources = append(sources, s.Identity.URI("t"))
		}
		for _, p := range g.Ports {
			s := fmt.Sprint(p.Number)
			for _, a := range p.Also {
				s += fmt.Sprintf("+%s:%d", a.Service.Name, a.Port)
			}
			ports = append(ports, s)
		}
		out = append(out, fmt.Sprintf("%s: %s -> %s%s", g.Name.Name, strings.Join(sources, " "), strings.Join(ports, " "), matches(g.Matches)))
	}
	return out
}

// codes renders findings as "severity code Kind/name field", without what
// several tests would repeat.
func (w world) codes(except ...report.Code) []string {
	out := []string{}
	for _, f := range w.found {
		if !slices.Contains(append(except, report.OpenWorkload), f.Code) {
			out = append(out, fmt.Sprintf("%s %s %s/%s %s", f.Severity, f.Code, f.Source.Kind, f.Source.Name, f.Source.Field))
		}
	}
	return out
}

func check(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func service(name, selector string, ports ...string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec:\n  selector: {app: %s}\n  ports: [%s]", name, selector, strings.Join(ports, ", "))
}

func app(name string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: ServiceAccount
metadata: {name: %[1]s}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      serviceAccountName: %[1]s
      containers: [{name: app, image: echo}]`, name)
}

func account(name string) string {
	return "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: " + name + "}"
}

const http9080 = "{name: http, port: 9080}"

// shop has reviews in two versions behind one name, and a caller.
var shop = strings.Join([]string{
	service("reviews", "reviews", http9080), service("v1", "v1", http9080), service("v2", "v2", http9080),
	app("reviews"), app("v1"), app("v2"), account("web"),
}, "\n---\n")

func split(name, rest string) string {
	return "apiVersion: split.smi-spec.io/v1alpha4\nkind: TrafficSplit\nmetadata: {name: " + name + "}\nspec: " + rest
}

func routeGroup(name, matches string) string {
	return "apiVersion: specs.smi-spec.io/v1alpha4\nkind: HTTPRouteGroup\nmetadata: {name: " + name + "}\nspec: {matches: [" + matches + "]}"
}

func tcpRoute(name, ports string) string {
	return "apiVersion: specs.smi-spec.io/v1alpha4\nkind: TCPRoute\nmetadata: {name: " + name + "}\nspec: {matches: {ports: [" + ports + "]}}"
}

// target is a TrafficTarget from web to reviews.
func target(name, rules string) string {
	return "apiVersion: access.smi-spec.io/v1alpha3\nkind: TrafficTarget\nmetadata: {name: " + name + `}
spec:
  destination: {kind: ServiceAccount, name: reviews, namespace: shop}
  sources: [{kind: ServiceAccount, name: web, namespace: shop}]
  rules: [` + rules + "]"
}
