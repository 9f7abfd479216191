package gatewayapi_test

import (
	"fmt"
	"testing"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
)

// Client and server handle a port as the same protocol, which routes imply where
// the port does not say it.
func TestProtocolsAgree(t *testing.T) {
	const rule = "rules: [{backendRefs: [{name: b, port: 80}]}]"
	parent := func(rest string) string { return `parentRefs: [{group: "", kind: Service, name: a` + rest + "}], " }
	for _, c := range []struct {
		name, port, kind, spec string
		a, b                   ir.Protocol
	}{
		{"attached and sent to", "", "HTTPRoute", parent("") + rule, ir.HTTP, ir.HTTP},
		{"gRPC", "", "GRPCRoute", parent(", port: 80") + rule, ir.GRPC, ir.GRPC},
		{"TCP implies nothing", "", "TCPRoute", parent("") + rule, ir.TCP, ir.TCP},
		{"the port says it", "name: tcp, ", "HTTPRoute", parent("") + rule, ir.TCP, ir.TCP},
		{"another port", "", "HTTPRoute", parent(", port: 81") + rule, ir.TCP, ir.HTTP},
		{"another name", "", "HTTPRoute", parent(", sectionName: x") + rule, ir.TCP, ir.HTTP},
		{"a mirror", "", "HTTPRoute", parent("") + "rules: [{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: b, port: 80}}}], backendRefs: [{name: a, port: 80}]}]", ir.HTTP, ir.HTTP},
		{"in error", "", "HTTPRoute", parent("") + "hostnames: [A], " + rule, ir.TCP, ir.TCP},
	} {
		texts := []string{object(c.kind, "{"+c.spec+"}")}
		for _, name := range []string{"a", "b"} {
			texts = append(texts, fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec: {selector: {app: %s}, ports: [{%sport: 80}]}", name, name, c.port),
				fmt.Sprintf("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %s}\nspec: {selector: {}, template: {metadata: {labels: {app: %s}}, spec: {serviceAccountName: %s, containers: []}}}", name, name, name))
		}
		want := map[string]ir.Protocol{"a": c.a, "b": c.b}
		seen := 0
		for _, u := range lowerAll(t, input.Settings{}, texts...).units {
			switch {
			case u.Service != nil && u.Service.Ports[0].Protocol != want[u.Service.Name]:
				t.Errorf("%s: callers of %s speak %s, want %s", c.name, u.Service.Name, u.Service.Ports[0].Protocol, want[u.Service.Name])
			case u.Workload != nil && u.Workload.Ports[0].Protocol != want[u.Workload.Account]:
				t.Errorf("%s: pods of %s speak %s, want %s", c.name, u.Workload.Account, u.Workload.Ports[0].Protocol, want[u.Workload.Account])
			case u.Service != nil, u.Workload != nil:
				seen++
			}
		}
		if seen != 4 {
			t.Errorf("%s: %d units are right, want 4", c.name, seen)
		}
	}
}
