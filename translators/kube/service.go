package kube

import (
	"fmt"
	"maps"
	"slices"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// DefaultRoute is the name of the route that every Service port has: to the
// Service itself.
const DefaultRoute = "default"

// servicesIndex finds Services by one label of their selector.
var servicesIndex = input.Index{Name: "kube/services", Keys: func(o input.Object) []string {
	s, ok := o.Value.(*Service)
	if !ok || o.Rejected || len(s.Selector) == 0 {
		return nil
	}
	first := slices.Min(slices.Collect(maps.Keys(s.Selector)))
	return []string{key(o.Namespace, first+"="+s.Selector[first])}
}}

// FindService returns the Service of a name, unless it is in error.
func FindService(r input.Reader, name ir.Name) (Service, bool) {
	o, ok := r.Get(input.ID{Kind: KindService, Namespace: name.Namespace, Name: name.Name})
	s, is := o.Value.(*Service)
	if !ok || !is || o.Rejected {
		return Service{}, false
	}
	return *s, true
}

// Port returns a port by number; of two with one number, which differ in their
// transport, that which Routable keeps.
func (s Service) Port(number int32) (ServicePort, bool) {
	for _, p := range s.Routable() {
		if p.Number == number {
			return p, true
		}
	}
	return ServicePort{}, false
}

// Routable returns the ports that the model can tell apart: TCP and UDP ones,
// and of two with one number that for TCP.
func (s Service) Routable() []ServicePort {
	var out []ServicePort
	for _, p := range s.Ports {
		tcp := slices.ContainsFunc(s.Ports, func(o ServicePort) bool { return o.Number == p.Number && o.Transport == "TCP" })
		if p.Transport == "TCP" || p.Transport == "UDP" && !tcp {
			out = append(out, p)
		}
	}
	return out
}

// Behind returns the accounts whose pods a Service selects, sorted.
func Behind(r input.Reader, namespace string, s Service) []ir.Identity {
	var out []ir.Identity
	if len(s.Selector) == 0 {
		return nil
	}
	for _, k := range withLabels(r, namespace, s.Selector) {
		out = append(out, ir.Identity{Namespace: namespace, Account: k.Account})
	}
	slices.SortFunc(out, ir.Identity.Compare)
	return slices.Compact(out)
}

// Targets returns the ports on an account's pods that a Service port leads to, sorted.
func Targets(r input.Reader, id ir.Identity, s Service, p ServicePort) []int32 {
	var out []int32
	for _, k := range ofAccount(r, id.Namespace, id.Account) {
		if n, ok := k.target(p); ok && selects(s.Selector, k.Labels) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// selecting returns the names of the Services that select pods with labels, sorted.
func selecting(r input.Reader, namespace string, labels map[string]string) []ir.Name {
	var out []ir.Name
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		for _, o := range r.Lookup(servicesIndex, key(namespace, k+"="+labels[k])) {
			if s := o.Value.(*Service); selects(s.Selector, labels) {
				out = append(out, ir.Name{Namespace: namespace, Name: o.ID.Name})
			}
		}
	}
	slices.SortFunc(out, ir.Name.Compare)
	return slices.Compact(out)
}

func lowerService(r input.Reader, s *ir.Service) report.Report {
	name := ir.Name{Namespace: s.Namespace, Name: s.Name}
	from, ok := FindService(r, name)
	if !ok {
		return nil
	}
	id := input.ID{Kind: KindService, Namespace: s.Namespace, Name: s.Name}
	s.Ref, s.Addresses, s.Headless = id.Ref(""), from.Addresses, from.Headless
	servers := Behind(r, s.Namespace, from)
	for _, p := range from.Routable() {
		ref := id.Ref(p.Field)
		self := ir.Backend{Service: name, Port: p.Number, Weight: 1, Servers: servers, Ref: ref}
		s.Ports = append(s.Ports, ir.Port{
			Number: p.Number, Name: p.Name, Protocol: p.Protocol, TLS: p.TLS, Servers: servers, Ref: ref,
			Routes: []ir.Route{{Name: DefaultRoute, Ref: ref, Matches: []ir.Match{ir.MatchAll(ref)}, Backends: []ir.Backend{self}}},
		})
	}
	return unroutable(id, from)
}

// unroutable reports the ports that are left out.
func unroutable(id input.ID, s Service) report.Report {
	var found report.Report
	for _, p := range s.Ports {
		if slices.Contains(s.Routable(), p) {
			continue
		}
		why := "which has a port of that number for TCP too"
		if p.Transport != "UDP" {
			why = "which no policy speaks of"
		}
		f := report.New(report.UDPUnsupported, id.Ref(p.Field), fmt.Sprintf("port %d for %s is left out of %s, %s", p.Number, p.Transport, id.Name, why))
		f.Severity, f.Hint = report.Info, ""
		found = append(found, f)
	}
	return found
}
