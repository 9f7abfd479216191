// Package consul plays policies on Consul: an agent, its own xDS and authority,
// and an Envoy beside every process and every caller.
//
// Each Service is the Consul service that the back end takes it for, with an
// instance for every account behind it. Consul gives a service one port, so a
// Service here has the first of its ports that is asked for.
package consul

import (
	"cmp"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
)

// Version is the minor of Consul that runs.
const Version = "1.20"

// Plane is a Consul agent with sidecars. It implements planes.Plane.
type Plane struct {
	lab    *lab.Lab
	agent  *lab.ConsulAgent
	policy string
	// slots are the sidecars that run, of which born were started so far.
	slots []*slot
	born  int
	// written are the entries that are in force, in the order in which they were written.
	written []entry
	// processes are the ports of those that have been started, by name and kind.
	processes map[process]int32
	shows     int
	now       cast

	mu     sync.Mutex
	leaves map[string]*tls.Config
}

type process struct {
	name string
	http bool
}

// entry is a configuration entry as Consul keys it.
type entry struct{ kind, name string }

// New starts an agent that denies or allows what no intention speaks of: policy
// is "deny" or "allow". It lives as long as the lab.
func New(l *lab.Lab, policy string) (*Plane, error) {
	agent, err := l.StartConsul(policy)
	if err != nil {
		return nil, err
	}
	return &Plane{lab: l, agent: agent, policy: policy, processes: map[process]int32{}, leaves: map[string]*tls.Config{}}, nil
}

// Name implements planes.Plane.
func (p *Plane) Name() string {
	if p.policy == "allow" {
		return "consul-default-allow"
	}
	return "consul"
}

// Programs implements planes.Plane.
func (p *Plane) Programs() []string { return []string{"Consul 1.20.2", "Envoy 1.40.0"} }

// Close implements planes.Plane.
func (p *Plane) Close() { p.lab.Close() }

// Show implements planes.Plane. What the last show wrote is deleted before.
func (p *Plane) Show(s planes.Scene) (planes.Showing, error) {
	options := map[string]string{}
	for k, v := range s.Options {
		options[k] = v
	}
	// The agent reads entries, whoever carries them there.
	options["default"], options["form"] = p.policy, ""
	showing, err := translate(s, options)
	if err != nil {
		return showing, err
	}
	p.now = cast{}
	if showing.Withheld {
		return showing, p.forget()
	}
	entries := make([]json.RawMessage, 0, len(showing.Output.Artifacts))
	for _, a := range showing.Output.Artifacts {
		text, err := json.Marshal(a.Payload)
		if err != nil {
			return showing, err
		}
		entries = append(entries, text)
	}
	return showing, p.play(entries, newCast(showing.World, options, s.Requests))
}

// play puts entries in the place of the earlier ones, in their order, and returns
// when every sidecar does what they say.
func (p *Plane) play(entries []json.RawMessage, c cast) error {
	p.shows++
	if err := p.forget(); err != nil {
		return err
	}
	protocols := map[string]string{}
	for _, text := range entries {
		var e struct{ Kind, Name, Protocol string }
		if err := json.Unmarshal(text, &e); err != nil {
			return err
		}
		if err := p.agent.Put("/v1/config", text); err != nil {
			return fmt.Errorf("%s %s is refused: %w\n%s", e.Kind, e.Name, err, text)
		}
		p.written = append(p.written, entry{e.Kind, cmp.Or(e.Name, e.Kind)}) // "mesh" has no name
		if e.Kind == "service-defaults" {
			protocols[e.Name] = e.Protocol
		}
	}
	p.now = c
	if err := p.register(); err != nil {
		return err
	}
	return p.settle(protocols)
}

// translate makes the back end's output of a scene.
func translate(s planes.Scene, options map[string]string) (planes.Showing, error) {
	b, ok := all.Pipeline().Backend("consul")
	if !ok {
		return planes.Showing{}, fmt.Errorf("there is no back end consul")
	}
	t := translators.Target{Backend: b.Name(), Version: Version, Options: options}
	var out planes.Showing
	for _, u := range s.Units {
		if u.Endpoints == nil {
			out.Pieces = append(out.Pieces, translators.Translate(u, b, t, s.Waivers))
		}
	}
	out.Output = translators.Assemble(b, t, out.Pieces, s.Waivers)
	out.World = interpret.WorldOf(s.Units)
	out.Withheld = out.Output.Withheld
	return out, nil
}

// forget deletes what was written, last first, for entries lean on earlier ones.
func (p *Plane) forget() error {
	for i, e := range slices.Backward(p.written) {
		if err := p.agent.DeleteEntry(e.kind, e.name); err != nil {
			return fmt.Errorf("deleting %s %s: %w", e.kind, e.name, err)
		}
		p.written = p.written[:i]
	}
	return nil
}

// app starts the process behind a port once, and returns where it listens.
func (p *Plane) app(name string, http bool) (int32, error) {
	key := process{name, http}
	if port, ok := p.processes[key]; ok {
		return port, nil
	}
	var port int32
	var err error
	if http {
		var e *lab.Echo
		if e, err = p.lab.Echo(name); err == nil {
			port = e.Port
		}
	} else {
		port, err = speaker(p.lab, name)
	}
	if err != nil {
		return 0, err
	}
	p.processes[key] = port
	return port, nil
}

// leaf is the certificate of a caller who is a Consul service.
func (p *Plane) leaf(service string) (*tls.Config, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if id, ok := p.leaves[service]; ok {
		return id, nil
	}
	id, err := p.agent.Leaf(service)
	if err == nil {
		p.leaves[service] = id
	}
	return id, err
}

// patience is how long configuration may take to be in use. Half a second is
// common; the rest is for machines that are busy.
const patience = time.Minute

// nameOf is how Consul knows a Service or an account.
func nameOf(options map[string]string, n ir.Name) string {
	return cmp.Or(options["service."+n.String()], n.Name)
}

// isHTTP reports whether an entry's word for a protocol means that requests are seen.
func isHTTP(protocol string) bool { return strings.HasPrefix(protocol, "http") || protocol == "grpc" }
