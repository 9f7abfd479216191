package grpc

import (
	"strings"
	"testing"

	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

// A server hears headers that the client adds. Where its grants ask for one, a
// request without that header is not made, by whatever way it leads there; where
// they do not, it is.
func TestHeaderThatClientsAdd(t *testing.T) {
	web := ir.Identity{Namespace: "shop", Account: "web"}
	app, front := ir.Name{Namespace: "shop", Name: "app"}, ir.Name{Namespace: "shop", Name: "front"}
	scene := func(header string) planes.Scene {
		at := ir.ServicePort{Service: app, Port: 80}
		match := ir.MatchAll(report.Ref{})
		match.Headers = []ir.HeaderMatch{{Name: header, Value: ir.StringMatch{Kind: ir.MatchRegex, Value: ".*"}}}
		w := &ir.Workload{Namespace: "shop", Account: "app", Enforced: true,
			Ports:  []ir.WorkloadPort{{Number: 8080, Protocol: ir.GRPC, Services: []ir.ServicePort{at}}},
			Grants: []ir.Grant{{Sources: []ir.Source{{Identity: web}}, Ports: []ir.GrantPort{{Number: 8080}}, Matches: []ir.Match{match}}}}
		service := func(n ir.Name) ir.Unit {
			b := []ir.Backend{{Service: app, Port: 80, Weight: 1, Servers: []ir.Identity{{Namespace: "shop", Account: "app"}}}}
			return ir.Unit{Service: &ir.Service{Namespace: n.Namespace, Name: n.Name, Ports: []ir.Port{{Number: 80, Protocol: ir.GRPC,
				Routes: []ir.Route{{Name: "r", Matches: []ir.Match{ir.MatchAll(report.Ref{})}, Backends: b}}}}}}
		}
		return planes.Scene{Units: []ir.Unit{{Mesh: &ir.Mesh{}}, {Workload: w}, service(app), service(front)}}
	}
	p := start(t)
	for _, header := range []string{"x-user", "user-agent", "content-type"} {
		if _, err := p.Show(scene(header)); err != nil {
			t.Fatal(err)
		}
		for _, q := range []semantics.Request{
			{From: &web, Workload: app, Port: 8080},
			{From: &web, Service: app, Port: 80},
			{From: &web, Service: front, Port: 80},
			{Service: app, Port: 80},
		} {
			q.Method, q.Path = "POST", "/a.B/C"
			a := p.Ask(q)
			switch {
			case header == "x-user" && !a.Denied:
				t.Errorf("%s: %s: %+v, want a denial", header, q, a)
			case header != "x-user" && !strings.Contains(a.Cannot, header+" of its own"):
				t.Errorf("%s: %s: %+v, want that it cannot be made", header, q, a)
			}
		}
	}
}
