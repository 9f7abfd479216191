// Package consul plays policies on Consul: agents, their own xDS and authority,
// and an Envoy beside every process and every caller.
//
// Each Service is the Consul service that the back end takes it for, with an
// instance for every account behind it. Consul gives a service one port, so a
// scene is staged as often as it takes for every port that is asked for to be
// the one of its Service.
//
// Every stage has names of its own for its services: Consul's entries are renamed
// together, and what an Envoy holds under such a name was made for this stage.
// So stages stand side by side on one agent, and the next is set while one is asked.
package consul

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/interpret"
)

// Version is the minor of Consul that runs.
const Version = "1.20"

// Plane is Consul with sidecars. It implements planes.Preparer.
type Plane struct {
	lab    *lab.Lab
	policy string
	dull   time.Duration // as a site has it

	// mu guards what stages that are being set share; it is held while one is
	// written and registered, and not while it is waited for.
	mu sync.Mutex
	// sites are the installations that run, by what holds for all of their mesh.
	sites  map[string]*site
	stages int

	// now is the set that is shown; nil where nothing is.
	now *set
}

// set is all stages of a scene.
type set struct {
	site   *site
	stages []*stage
}

// New makes a plane whose agents deny or allow what no intention speaks of: policy
// is "deny" or "allow". One is started for each thing that scenes want of the mesh
// as a whole, and they live as long as the lab.
func New(l *lab.Lab, policy string) (*Plane, error) {
	for _, program := range []string{lab.Consul, lab.Envoy} {
		if _, err := lab.Binary(program); err != nil {
			return nil, err
		}
	}
	return &Plane{lab: l, policy: policy, dull: 20 * time.Second, sites: map[string]*site{}}, nil
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

// Show implements planes.Plane.
func (p *Plane) Show(s planes.Scene) (planes.Showing, error) {
	p.leave() // its sidecars are needed again
	return p.Prepare(s)()
}

// Prepare implements planes.Preparer.
func (p *Plane) Prepare(s planes.Scene) func() (planes.Showing, error) {
	options := map[string]string{}
	for k, v := range s.Options {
		options[k] = v
	}
	// The agent reads entries, whoever carries them there.
	options["default"], options["form"] = p.policy, ""
	showing, err := translate(s, options)
	if err != nil || showing.Output.Withheld {
		return func() (planes.Showing, error) { p.leave(); return showing, err }
	}
	entries := make([]json.RawMessage, 0, len(showing.Output.Artifacts))
	for _, a := range showing.Output.Artifacts {
		text, err := json.Marshal(a.Payload)
		if err != nil {
			return func() (planes.Showing, error) { return showing, err }
		}
		entries = append(entries, text)
	}
	ready := p.prepare(entries, casts(showing.World, options, s))
	return func() (planes.Showing, error) { return showing, ready() }
}

// prepare begins to set stages, of the same entries but for their names. What it
// returns waits for them and shows them.
func (p *Plane) prepare(entries []json.RawMessage, all []*cast) func() error {
	var next *set
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		next, err = p.set(entries, all)
	}()
	return func() error {
		<-done
		p.leave()
		p.now = next
		return err
	}
}

// leave ends what is shown, whose sidecars are free for other stages then.
func (p *Plane) leave() {
	if p.now != nil {
		p.now.site.free(p.now.stages)
	}
	p.now = nil
}

// set sets stages and returns when every sidecar does what their entries say.
func (p *Plane) set(entries []json.RawMessage, all []*cast) (*set, error) {
	general, special, err := divided(entries)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	out := &set{}
	if out.site, err = p.site(general); err == nil {
		for _, c := range all {
			p.stages++
			s := &stage{cast: c, site: out.site, prefix: fmt.Sprintf("m%d-", p.stages)}
			out.stages = append(out.stages, s)
			if err = s.write(special); err == nil {
				err = s.register()
			}
			if err != nil {
				break
			}
		}
	}
	p.mu.Unlock()
	if err == nil {
		err = settle(out.stages)
	}
	if out.site == nil {
		return nil, err
	}
	return out, err
}

// translate makes the back end's output of a scene.
func translate(s planes.Scene, options map[string]string) (planes.Showing, error) {
	b, ok := all.Pipeline().Backend("consul")
	if !ok {
		return planes.Showing{}, fmt.Errorf("there is no back end consul")
	}
	t := translators.Target{Backend: b.Name(), Version: Version, Options: options}
	out := planes.Showing{World: interpret.WorldOf(s.Units)}
	out.Output, out.Pieces = translators.Make(s.Policies(), b, t, s.Waivers)
	return out, nil
}

// patience is how long configuration may take to be in use. A second is common;
// the rest is for machines that are busy.
const patience = time.Minute
