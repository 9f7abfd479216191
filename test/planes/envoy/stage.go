package envoy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators/ir"
)

// stage is one scene, laid out on this machine.
type stage struct {
	units   []ir.Unit
	options map[string]string
	// inbound is where a workload's proxy listens for a port, and protocol what
	// is spoken there.
	inbound  map[ir.ServicePort]int32
	protocol map[ir.ServicePort]ir.Protocol
	// outbound is where a caller's proxy listens for a port of a Service.
	outbound map[outward]int32
	// gateways is where the proxies of a Gateway listen for calls to a port.
	gateways map[ir.ServicePort]int32
	services map[ir.Name]*ir.Service
	// behind are the workload ports that a Service port leads to.
	behind map[ir.ServicePort][]ir.ServicePort
	// needed are the accounts whose proxies take part, and places all ports on
	// which they listen.
	needed []ir.Identity
	places []int32
	// nowhere is the last port at which nobody's proxy listens.
	nowhere int32
}

// outward is a Service port as a caller sees it.
type outward struct {
	from ir.Identity
	to   ir.ServicePort
}

// unknown stands for what is spoken on a port that nothing is known of. What is
// denied there may be answered, or just closed.
const unknown ir.Protocol = "?"

func (p *Plane) lay(s planes.Scene) (*stage, error) {
	st := &stage{nowhere: 1, inbound: map[ir.ServicePort]int32{}, protocol: map[ir.ServicePort]ir.Protocol{}, outbound: map[outward]int32{},
		gateways: map[ir.ServicePort]int32{}, services: map[ir.Name]*ir.Service{}, behind: map[ir.ServicePort][]ir.ServicePort{},
		// Packets are redirected nowhere, whatever the scene has.
		options: map[string]string{"listen.none/none:1": "127.0.0.1:1", "inbound.none/none:1": "127.0.0.1:1,127.0.0.1:1"}}
	for _, u := range s.Units {
		if u.Endpoints != nil { // those of the scene lead to no process here
			continue
		}
		st.units = append(st.units, u)
		var err error
		switch {
		case u.Workload != nil:
			err = p.workload(st, *u.Workload, s)
		case u.Gateway != nil:
			err = st.gateway(*u.Gateway)
		case u.Service != nil:
			st.services[ir.Name{Namespace: u.Service.Namespace, Name: u.Service.Name}] = u.Service
		}
		if err != nil {
			return nil, err
		}
	}
	for _, u := range s.Units {
		if u.Service == nil {
			continue
		}
		if w, ok := st.standIn(*u.Service); ok {
			st.units = append(st.units, ir.Unit{Workload: &w})
			if err := p.workload(st, w, planes.Scene{}); err != nil {
				return nil, err
			}
		}
		if err := st.service(*u.Service, s); err != nil {
			return nil, err
		}
	}
	st.places = slices.Concat(slices.Collect(maps.Values(st.inbound)), slices.Collect(maps.Values(st.outbound)), slices.Collect(maps.Values(st.gateways)))
	slices.SortFunc(st.needed, ir.Identity.Compare)
	st.needed = slices.Compact(st.needed)
	return st, nil
}

// standIn is an open workload that answers for a Service that nobody is known to
// be behind. Clients take its account, as any of the namespace, for the Service.
func (st *stage) standIn(s ir.Service) (ir.Workload, bool) {
	w := ir.Workload{Namespace: s.Namespace, Account: "stand-in-" + s.Name}
	denies := func(u ir.Unit) bool { return u.Namespace != nil && u.Namespace.Name == s.Namespace }
	if slices.ContainsFunc(st.units, denies) {
		return w, false
	}
	for i, port := range s.Ports {
		sp := ir.ServicePort{Service: ir.Name{Namespace: s.Namespace, Name: s.Name}, Port: port.Number}
		known := slices.ContainsFunc(port.AllRoutes(), func(r ir.Route) bool {
			return slices.ContainsFunc(r.Backends, func(b ir.Backend) bool { return b.Service == sp.Service && len(b.Servers) > 0 })
		})
		if !known && len(st.behind[sp]) == 0 && port.Protocol != ir.UDP && port.Number != ir.AnyPort && !s.Headless {
			w.Ports = append(w.Ports, ir.WorkloadPort{Number: int32(8001 + i), Protocol: port.Protocol, Services: []ir.ServicePort{sp}})
		}
	}
	return w, len(w.Ports) > 0
}

// workload gives each port a process and a place; also a port that only a
// request names.
func (p *Plane) workload(st *stage, w ir.Workload, s planes.Scene) error {
	name := ir.Name{Namespace: w.Namespace, Name: w.Account}
	ports := slices.Clone(w.Ports)
	for _, q := range s.Requests {
		known := slices.ContainsFunc(ports, func(wp ir.WorkloadPort) bool { return wp.Number == q.Port })
		if q.Workload == name && !known {
			ports = append(ports, ir.WorkloadPort{Number: q.Port, Protocol: unknown})
		}
	}
	for _, wp := range ports {
		if wp.Protocol == ir.UDP {
			continue
		}
		at := ir.ServicePort{Service: name, Port: wp.Number}
		process, err := p.processes.Port(planes.Process(name, wp.Number), wp.Protocol.IsHTTP() || wp.Protocol == unknown)
		if err != nil {
			return err
		}
		if st.inbound[at], err = lab.FreePort(); err != nil {
			return err
		}
		st.protocol[at] = wp.Protocol
		st.options["inbound."+at.String()] = lab.Local(st.inbound[at]) + "," + lab.Local(process)
		st.needed = append(st.needed, ir.Identity{Namespace: w.Namespace, Account: w.Account})
		for _, service := range wp.Services {
			st.behind[service] = append(st.behind[service], at)
		}
	}
	return nil
}

// gateway gives each port a place.
func (st *stage) gateway(g ir.Gateway) error {
	st.needed = append(st.needed, g.Identity)
	for _, port := range g.Ports {
		at := ir.ServicePort{Service: ir.Name{Namespace: g.Namespace, Name: g.Name}, Port: port.Number}
		place, err := lab.FreePort()
		if err != nil {
			return err
		}
		st.gateways[at] = place
		st.options["gateway."+at.String()] = lab.Local(place)
	}
	return nil
}

// service gives each port a place for each of its callers, and endpoints.
func (st *stage) service(s ir.Service, scene planes.Scene) error {
	name := ir.Name{Namespace: s.Namespace, Name: s.Name}
	e := ir.Endpoints{Namespace: s.Namespace, Name: s.Name}
	for _, port := range s.Ports {
		if port.Protocol == ir.UDP {
			continue
		}
		sp := ir.ServicePort{Service: name, Port: port.Number}
		ends := ir.EndpointsPort{Number: port.Number}
		for _, at := range st.behind[sp] {
			ends.Endpoints = append(ends.Endpoints, ir.Endpoint{Address: "127.0.0.1", Port: st.inbound[at], Ready: true})
		}
		e.Ports = append(e.Ports, ends)
		st.nowhere++ // a port may have no callers, and no two share a place
		places := []string{"none/none=" + lab.Local(st.nowhere)}
		for _, q := range scene.Requests {
			if q.Service != name || !proxied(q.From) || port.Number != ir.AnyPort && port.Number != q.Port {
				continue
			}
			out := outward{*q.From, sp}
			if st.outbound[out] != 0 {
				continue
			}
			at, err := lab.FreePort()
			if err != nil {
				return err
			}
			st.outbound[out] = at
			st.needed = append(st.needed, *q.From)
			places = append(places, fmt.Sprintf("%s/%s=%s", q.From.Namespace, q.From.Account, lab.Local(at)))
		}
		key := "listen." + sp.String()
		if port.Number == ir.AnyPort {
			key = "listen." + name.String()
		}
		st.options[key] = strings.Join(places, ",")
	}
	st.units = append(st.units, ir.Unit{Endpoints: &e})
	return nil
}

// proxied reports whether a caller has a proxy of the mesh.
func proxied(from *ir.Identity) bool { return from != nil && from.SPIFFE == "" }
