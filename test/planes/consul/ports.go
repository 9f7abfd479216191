package consul

import (
	"slices"

	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// casts are as many as it takes for every port of a Service that a scene asks for
// to be the one that its Service has in Consul: one, but where other accounts stand
// behind other ports of a Service.
func casts(w interpret.World, options map[string]string, s planes.Scene) []*cast {
	met := map[ir.Name]bool{}
	for _, q := range s.Requests {
		for _, name := range sorted(w.Services) {
			if concerns(w, q, name) {
				follow(s.Units, options, name, met)
			}
		}
	}
	groups := together(w, asked(w, s.Requests))
	if len(groups) == 0 {
		groups = [][]int32{nil}
	}
	var out []*cast
	for _, group := range groups {
		ports := map[ir.Name]int32{}
		for name, sv := range w.Services {
			if p, ok := chosen(sv, group); ok {
				ports[name] = p
			}
		}
		c := newCast(w, options, s.Requests, ports, met)
		c.turns[0].numbers = group
		if i := slices.IndexFunc(out, c.like); i >= 0 {
			out[i].turns = append(out[i].turns, c.turns...)
		} else {
			out = append(out, c)
		}
	}
	for _, c := range out {
		c.prepared(s.Requests)
	}
	return out
}

// concerns reports whether a request is to a Service, or straight to pods to which
// it leads.
func concerns(w interpret.World, q semantics.Request, name ir.Name) bool {
	if q.Workload == (ir.Name{}) {
		return q.Service == name
	}
	for _, p := range w.Workloads[q.Workload].Ports {
		if p.Number == q.Port && slices.ContainsFunc(p.Services, func(s ir.ServicePort) bool { return s.Service == name }) {
			return true
		}
	}
	return false
}

// follow notes a Service and all that its routes lead to. Services of one name are
// one service in Consul.
func follow(units []ir.Unit, options map[string]string, name ir.Name, met map[ir.Name]bool) {
	if met[name] {
		return
	}
	met[name] = true
	for _, u := range units {
		if u.Service == nil {
			continue
		}
		other := ir.Name{Namespace: u.Service.Namespace, Name: u.Service.Name}
		if nameOf(options, other) != nameOf(options, name) {
			continue
		}
		follow(units, options, other, met)
		for _, p := range u.Service.Ports {
			for _, r := range p.AllRoutes() {
				for _, b := range r.Backends {
					follow(units, options, b.Service, met)
				}
			}
		}
	}
}

// asked lists the numbers of the ports of Services that requests are to, or that
// lead where one goes straight, in the order in which they occur.
func asked(w interpret.World, requests []semantics.Request) []int32 {
	var out []int32
	add := func(at ir.ServicePort) {
		if p, ok := w.Port(at); ok && p.Protocol != ir.UDP && !slices.Contains(out, at.Port) {
			out = append(out, at.Port)
		}
	}
	for _, q := range requests {
		if q.Service != (ir.Name{}) {
			add(ir.ServicePort{Service: q.Service, Port: q.Port})
		}
	}
	for _, q := range requests {
		for _, p := range w.Workloads[q.Workload].Ports {
			if p.Number != q.Port {
				continue
			}
			for _, s := range p.Services {
				add(s)
			}
		}
	}
	return out
}

// together puts numbers into as few groups as it takes. A call to one port of a
// Service leads on to the same port of another or, where that lacks it, to its
// first: so of each Service only one number of a group may be a port, and, where
// the group has others, its first.
func together(w interpret.World, numbers []int32) [][]int32 {
	var groups [][]int32
	for _, n := range numbers {
		i := slices.IndexFunc(groups, func(g []int32) bool { return fits(w, append(slices.Clone(g), n)) })
		if i < 0 {
			i, groups = len(groups), append(groups, nil)
		}
		groups[i] = append(groups[i], n)
	}
	return groups
}

func fits(w interpret.World, group []int32) bool {
	for _, s := range w.Services {
		first, _ := chosen(s, nil)
		for _, n := range group {
			if p, ok := chosen(s, []int32{n}); ok && hasPort(s, n) && p != first {
				return false
			}
		}
	}
	return true
}

func hasPort(s ir.Service, n int32) bool {
	return slices.ContainsFunc(s.Ports, func(p ir.Port) bool { return p.Protocol != ir.UDP && (p.Number == n || p.Number == ir.AnyPort) })
}

// chosen is the port that a Service has while a group of numbers is played: the one
// that is in the group, else its first. UDP does not pass Consul's proxies.
func chosen(s ir.Service, group []int32) (int32, bool) {
	for _, n := range group {
		if hasPort(s, n) {
			return n, true
		}
	}
	for _, p := range s.Ports {
		switch {
		case p.Protocol == ir.UDP:
		case p.Number == ir.AnyPort:
			return 80, true
		default:
			return p.Number, true
		}
	}
	return 0, false
}
