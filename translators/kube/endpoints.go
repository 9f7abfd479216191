package kube

import (
	"cmp"
	"slices"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
)

// slicesIndex finds EndpointSlices by their Service.
var slicesIndex = input.Index{Name: "kube/slices", Keys: func(o input.Object) []string {
	if s, ok := o.Value.(*Slices); ok && o.Kind == "EndpointSlice" && !o.Rejected {
		return []string{key(o.Namespace, s.Service)}
	}
	return nil
}}

func lowerEndpoints(r input.Reader, e *ir.Endpoints) {
	s, ok := FindService(r, ir.Name{Namespace: e.Namespace, Name: e.Name})
	behind := slicesOf(r, e.Namespace, e.Name)
	if !ok || len(behind) == 0 {
		return
	}
	for _, p := range s.Routable() {
		e.Ports = append(e.Ports, ir.EndpointsPort{Number: p.Number, Endpoints: at(behind, p)})
	}
}

// slicesOf returns what is behind a Service. A cluster mirrors Endpoints into
// EndpointSlices, so they count only where there are no slices.
func slicesOf(r input.Reader, namespace, service string) []Slice {
	var out []Slice
	for _, o := range r.Lookup(slicesIndex, key(namespace, service)) {
		out = append(out, o.Value.(*Slices).Slices...)
	}
	if len(out) > 0 {
		return out
	}
	o, _ := r.Get(input.ID{Kind: "Endpoints", Namespace: namespace, Name: service})
	if s, ok := o.Value.(*Slices); ok && !o.Rejected {
		return s.Slices
	}
	return nil
}

// at returns the endpoints of one port, sorted; one that some slice calls ready is.
func at(behind []Slice, p ServicePort) []ir.Endpoint {
	var out []ir.Endpoint
	for _, s := range behind {
		for _, port := range s.Ports {
			if port.Name != p.Name || port.Transport != p.Transport {
				continue
			}
			for _, a := range s.Addresses {
				out = append(out, ir.Endpoint{Address: a.IP, Port: port.Number, Ready: a.Ready})
			}
		}
	}
	same := func(a, b ir.Endpoint) int {
		return cmp.Or(cmp.Compare(a.Address, b.Address), cmp.Compare(a.Port, b.Port))
	}
	slices.SortStableFunc(out, func(a, b ir.Endpoint) int { return cmp.Or(same(a, b), unready(a)-unready(b)) })
	return slices.CompactFunc(out, func(a, b ir.Endpoint) bool { return same(a, b) == 0 })
}

func unready(e ir.Endpoint) int {
	if e.Ready {
		return 0
	}
	return 1
}
