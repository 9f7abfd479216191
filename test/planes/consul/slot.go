package consul

import (
	"fmt"
	"maps"
	"slices"

	"github.com/meshknot/meshknot/test/lab"
)

// slot is a sidecar that stands for a service, show after show. Whatever its
// configuration is made of, each show gives it new ports: what listens there was
// made after the show's entries were written.
type slot struct {
	id      string
	sidecar *lab.Sidecar
	// service is the Consul service that it stands for.
	service string
	// public is where its service is called.
	public int32
	// upstreams are where its service calls others, by their names.
	upstreams map[string]int32
	// rests since this show: Consul was told that it is not well, so that nobody
	// is led there. Zero while it is needed.
	rests int
}

// keep is how many slots are kept for later shows, in which names recur. An
// Envoy that rests costs memory only, one that starts costs time.
const keep = 40

// register gives each instance a slot, and the callers' slots a way to every service.
func (p *Plane) register() error {
	spare := p.slots
	p.slots = nil
	for n := range p.now.instances {
		i := &p.now.instances[n]
		if at := slices.IndexFunc(spare, func(s *slot) bool { return s.service == i.service }); at >= 0 {
			i.slot = spare[at]
			spare = slices.Delete(spare, at, at+1)
		} else {
			p.born++
			i.slot = &slot{id: fmt.Sprintf("meshknot-%d", p.born), service: i.service}
		}
		i.slot.upstreams, i.slot.rests = nil, 0
		p.slots = append(p.slots, i.slot)
	}
	if err := p.rest(spare); err != nil {
		return err
	}
	for id := range p.now.callers {
		i := p.now.calling(id)
		i.slot.upstreams = map[string]int32{}
		for name := range p.now.ports {
			i.slot.upstreams[nameOf(p.now.options, name)] = 0
		}
	}
	for _, i := range p.now.instances {
		app, err := p.app(i.process, i.http)
		if err != nil {
			return err
		}
		if err := p.place(i.slot, app); err != nil {
			return err
		}
	}
	return p.start()
}

// rest lays slots aside that nobody needs, and gives up those that have rested longest.
func (p *Plane) rest(spare []*slot) error {
	for _, s := range spare {
		if s.rests != 0 {
			continue
		}
		s.upstreams, s.rests = nil, p.shows
		if err := p.place(s, 1); err != nil {
			return err
		}
	}
	slices.SortFunc(spare, func(a, b *slot) int { return b.rests - a.rests })
	for _, s := range spare {
		if len(p.slots) < keep {
			p.slots = append(p.slots, s)
			continue
		}
		if err := p.retire(s); err != nil {
			return err
		}
	}
	return nil
}

// start starts the sidecars of new slots.
func (p *Plane) start() error {
	for _, s := range p.slots {
		if s.sidecar != nil {
			continue
		}
		var err error
		if s.sidecar, err = p.agent.StartSidecar(s.id + "-proxy"); err != nil {
			return err
		}
	}
	return nil
}

// retire takes a slot out of Consul and ends its sidecar.
func (p *Plane) retire(s *slot) error {
	if s.sidecar != nil {
		s.sidecar.Stop()
	}
	for _, id := range []string{s.id + "-proxy", s.id} {
		if err := p.agent.Put("/v1/agent/service/deregister/"+id, nil); err != nil {
			return err
		}
	}
	return nil
}

// place registers a slot, on new ports, in front of a process.
func (p *Plane) place(s *slot, app int32) error {
	var err error
	if s.public, err = lab.FreePort(); err != nil {
		return err
	}
	var upstreams []any
	for _, name := range slices.Sorted(maps.Keys(s.upstreams)) {
		port, err := lab.FreePort()
		if err != nil {
			return err
		}
		s.upstreams[name] = port
		upstreams = append(upstreams, object{"DestinationName": name, "LocalBindAddress": "127.0.0.1", "LocalBindPort": port,
			"Config": object{"connect_timeout_ms": p.marker().Milliseconds()}})
	}
	var checks []any
	if s.rests != 0 {
		checks = []any{object{"CheckID": s.id + "-rests", "Name": "needed", "TTL": "100h", "Status": "critical"}}
	}
	for _, r := range []object{
		{"ID": s.id, "Name": s.service, "Address": "127.0.0.1", "Port": app},
		{"ID": s.id + "-proxy", "Name": s.service + "-sidecar-proxy", "Kind": "connect-proxy", "Address": "127.0.0.1", "Port": s.public,
			"Checks": checks, "Proxy": object{
				"DestinationServiceName": s.service, "DestinationServiceID": s.id,
				"LocalServiceAddress": "127.0.0.1", "LocalServicePort": app, "Upstreams": upstreams}},
	} {
		if err := p.agent.Put("/v1/agent/service/register?replace-existing-checks=true", r); err != nil {
			return fmt.Errorf("registering %s as %s: %w", s.id, s.service, err)
		}
	}
	return nil
}

type object = map[string]any
