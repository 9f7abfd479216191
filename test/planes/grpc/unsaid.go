package grpc

import (
	"fmt"
	"slices"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
	"github.com/meshknot/meshknot/translators/xds"
)

// added are headers that every gRPC client adds to a call by itself and that a
// server's rules see. A request that does not say them cannot be made, and where
// a grant asks for them the call that is made instead is another one.
var added = []string{"content-type", "user-agent"}

// AskedFor maps accounts to a header that clients add and their grants ask for.
func AskedFor(units []ir.Unit) map[ir.Name]string {
	out := map[ir.Name]string{}
	for _, u := range units {
		if u.Workload == nil {
			continue
		}
		for _, g := range u.Workload.Grants {
			for _, m := range g.Matches {
				for _, h := range m.Headers {
					if slices.Contains(added, h.Name) {
						out[ir.Name{Namespace: u.Workload.Namespace, Name: u.Workload.Account}] = h.Name
					}
				}
			}
		}
	}
	return out
}

// unsaid says which header a call to those who may answer a request has beyond
// it, if their grants ask for one. A client's own routes see none of them but
// content-type, of which they are told as the interpreter is.
func (s *scene) unsaid(q semantics.Request, host string) string {
	for service, at := range s.behind {
		led := service == ir.ServicePort{Service: q.Service, Port: q.Port}
		if !straight(q) {
			led = s.leads[host][xds.Host(service.Service, service.Port)]
		}
		for _, pod := range at {
			if header := s.asked[pod.Service]; led && header != "" {
				return Unsaid(pod.Service, header)
			}
		}
	}
	return ""
}

// Unsaid says why a call to an account cannot be made whose grants ask for a header
// that clients add.
func Unsaid(account ir.Name, header string) string {
	return fmt.Sprintf("every gRPC client sends a %s of its own, and the grants of %s ask for it", header, account)
}
