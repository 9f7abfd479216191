package consul

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"sync"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes"
)

// stage is a cast that stands on a site. Consul knows its services by names that
// begin with its prefix, which no other stage has.
type stage struct {
	*cast
	site   *site
	prefix string
	// written are the entries that are in force, in the order in which they were written.
	written []entry
	slots   []*slot
	// standing is how many slots are registered for it.
	standing int

	// turning is held by whoever asks during a turn, and to begin another.
	turning sync.RWMutex
	turn    int

	mu     sync.Mutex
	leaves map[string]*tls.Config
	leads  map[string]bool
}

// write puts entries into force, in their order.
func (s *stage) write(entries []entry) error {
	for _, e := range entries {
		here, err := e.renamed(s.prefix)
		if err != nil {
			return err
		}
		if err := s.site.put(here); err != nil {
			return cmp.Or(s.forget(), fmt.Errorf("%s %s: %w", e.kind, e.name, err))
		}
		s.written = append(s.written, here)
	}
	return nil
}

// forget deletes what was written, last first, for entries lean on earlier ones.
func (s *stage) forget() error {
	for i, e := range slices.Backward(s.written) {
		if err := s.site.agent.DeleteEntry(e.kind, e.name); err != nil {
			return fmt.Errorf("deleting %s %s: %w", e.kind, e.name, err)
		}
		s.written = s.written[:i]
	}
	return nil
}

// register gives each instance a slot, and the callers' slots a way to the
// Services that they call.
func (s *stage) register() error {
	for n := range s.instances {
		i := &s.instances[n]
		var err error
		if i.slot, err = s.site.take(s); err != nil {
			return err
		}
		s.slots = append(s.slots, i.slot)
		i.slot.upstreams = map[string]int32{}
		for name := range i.calls {
			i.slot.upstreams[name] = 0
		}
		if err := i.slot.place(s.prefix + i.service); err != nil {
			return err
		}
		s.standing++
		if err := s.site.left(i.slot); err != nil {
			return err
		}
	}
	s.begin(0)
	return nil
}

// during calls f during a turn, which nobody ends before.
func (s *stage) during(turn int, f func() planes.Answer) planes.Answer {
	for {
		s.turning.RLock()
		if s.turn == turn {
			defer s.turning.RUnlock()
			return f()
		}
		s.turning.RUnlock()
		s.turning.Lock()
		s.begin(turn)
		s.turning.Unlock()
	}
}

// begin tells each process who it is during a turn.
func (s *stage) begin(turn int) {
	s.turn = turn
	for n, i := range s.instances {
		if i.slot == nil {
			continue
		}
		r := role{process: "nobody", http: true}
		if n < len(s.turns[turn].roles) {
			r = s.turns[turn].roles[n]
		}
		i.slot.pod.plays(r)
	}
}

// slot is a sidecar that stands for a service, stage after stage.
type slot struct {
	id      string
	sidecar *lab.Sidecar
	// stage is whose it is, before the one that it is still registered for.
	stage, before *stage
	// pod is the process that it stands in front of.
	pod *pod
	// service is what it stands for, by its full name, and public where that is called.
	service string
	public  int32
	// upstreams are where its service calls others, by their names in the cast.
	upstreams map[string]int32
	// renewals is how often its Envoy was replaced.
	renewals int
}

// place registers a slot, on new ports, in front of its process, and starts its Envoy.
func (s *slot) place(service string) (err error) {
	s.service = service
	if s.public, err = lab.FreePort(); err != nil {
		return err
	}
	for name := range s.upstreams {
		if s.upstreams[name], err = lab.FreePort(); err != nil {
			return err
		}
	}
	if err := s.register(); err != nil {
		return err
	}
	if s.sidecar == nil {
		s.sidecar, err = s.stage.site.agent.StartSidecar(s.id + "-proxy")
	}
	return err
}

// register tells the agent of a slot.
func (s *slot) register() error {
	var upstreams []any
	for _, name := range slices.Sorted(maps.Keys(s.upstreams)) {
		upstreams = append(upstreams, object{"DestinationName": s.stage.prefix + name, "LocalBindAddress": "127.0.0.1", "LocalBindPort": s.upstreams[name]})
	}
	for _, r := range []object{
		{"ID": s.id, "Name": s.service, "Address": "127.0.0.1", "Port": s.pod.port},
		{"ID": s.id + "-proxy", "Name": s.service + "-sidecar-proxy", "Kind": "connect-proxy", "Address": "127.0.0.1", "Port": s.public,
			"Proxy": object{
				"DestinationServiceName": s.service, "DestinationServiceID": s.id,
				"LocalServiceAddress": "127.0.0.1", "LocalServicePort": s.pod.port, "Upstreams": upstreams,
				"Config": object{"meshknot_renewals": s.renewals}}}, // which Consul ignores, but begins anew for
	} {
		if err := s.stage.site.agent.Put("/v1/agent/service/register?replace-existing-checks=true", r); err != nil {
			return fmt.Errorf("registering %s as %s: %w", s.id, s.service, err)
		}
	}
	return nil
}

// renew has the agent begin anew for a slot, and another Envoy ask it, on the same
// ports: rarely, and on a busy machine, an agent that
// answers everybody else never sends the listeners of one.
func (s *slot) renew() (err error) {
	s.renewals++
	s.sidecar.Stop()
	if err := s.register(); err != nil {
		return err
	}
	s.sidecar, err = s.stage.site.agent.StartSidecar(s.id + "-proxy")
	return err
}

// leaf is the certificate of a caller who is a service of the cast.
func (s *stage) leaf(service string) (*tls.Config, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id, ok := s.leaves[service]; ok {
		return id, nil
	}
	id, err := s.site.agent.Leaf(s.prefix + service)
	if err == nil {
		if s.leaves == nil {
			s.leaves = map[string]*tls.Config{}
		}
		s.leaves[service] = id
	}
	return id, err
}

// leadsSomewhere reports whether calls to a service of the cast reach some instance.
func (s *stage) leadsSomewhere(service string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if yes, ok := s.leads[service]; ok {
		return yes, nil
	}
	var out struct {
		Chain struct {
			Targets map[string]struct{ Service string }
		}
	}
	if err := s.site.agent.Get("/v1/discovery-chain/"+url.PathEscape(s.prefix+service), &out); err != nil {
		return false, err
	}
	yes := false
	for _, t := range out.Chain.Targets {
		yes = yes || len(s.publics(t.Service)) > 0
	}
	if s.leads == nil {
		s.leads = map[string]bool{}
	}
	s.leads[service] = yes
	return yes, nil
}

// publics are the ports where a Consul service is called, by its full name, sorted.
func (s *stage) publics(service string) []int32 {
	var out []int32
	for _, i := range s.instances {
		if s.prefix+i.service == service {
			out = append(out, i.slot.public)
		}
	}
	slices.Sort(out)
	return out
}
