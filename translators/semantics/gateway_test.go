package semantics

import (
	"fmt"
	"testing"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// The most specific virtual host of a port takes a call, however many others there are.
func TestHostOfPort(t *testing.T) {
	gateway := ir.Name{Namespace: "shop", Name: "edge"}
	host := func(port int32, name, route string) ir.Unit {
		return ir.Unit{VirtualHost: &ir.VirtualHost{Gateway: gateway, Port: port, Host: name,
			Routes: []ir.Route{{Name: route, Status: 404, Matches: []ir.Match{ir.MatchAll(report.Ref{})}}}}}
	}
	units := []ir.Unit{
		{Gateway: &ir.Gateway{Namespace: "shop", Name: "edge", Ports: []ir.GatewayPort{{Number: 80}, {Number: 81}, {Number: 82}}}},
		host(80, "a.example.com", "exact"), host(80, "a.example.com", "second of its name"),
		host(80, "*.example.com", "suffix"), host(80, "*.b.example.com", "longer suffix"), host(80, "*", "any"),
		host(81, "a.example.com", "exact on 81"), host(81, "*.example.com", "suffix on 81"),
	}
	many := append([]ir.Unit(nil), units...)
	for i := range 2000 {
		many = append(many, host(80, fmt.Sprintf("h%d.other.com", i), "other"), host(81, fmt.Sprintf("*.s%d.other.com", i), "other"))
	}
	tests := []struct {
		port        int32
		asked, want string
	}{
		{80, "a.example.com", "exact"},
		{80, "A.Example.COM:8080", "exact"},
		{80, "x.a.example.com", "suffix"},
		{80, "x.b.example.com", "longer suffix"},
		{80, "b.example.com", "suffix"},
		{80, "example.com", "any"},
		{80, "xexample.com", "any"},
		{80, "", "any"},
		{81, "a.example.com", "exact on 81"},
		{81, "b.example.com", "suffix on 81"},
		{81, "example.com", "unmatched"},
		{82, "a.example.com", "unmatched"},
	}
	for n, model := range map[int]Model{len(units): New(units), len(many): New(many)} {
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%d units/%d/%s", n, tt.port, tt.asked), func(t *testing.T) {
				d := model.Decide(Request{Gateway: gateway, Port: tt.port, Method: "GET", Path: "/", Headers: map[string][]string{"host": {tt.asked}}})
				if d.Route != tt.want {
					t.Errorf("host %q on port %d is taken by %q, want %q", tt.asked, tt.port, d.Route, tt.want)
				}
			})
		}
	}
}
