// Package envoy is the plane of Envoy sidecars under meshknot's own xDS: one
// proxy for each account, with its certificate. The proxies stay from scene to
// scene; what they are told changes while they run. Every scene has listeners at
// ports of its own, so that nothing is asked of what an older scene left behind.
package envoy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/meshknot/meshknot/internal/bootstrap"
	"github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/envoy"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
)

// Needs are the programs without which the plane cannot be.
var Needs = []string{lab.Envoy}

// most is how many proxies stay at once: each takes part in every update.
const most = 16

// Plane implements planes.Plane.
type Plane struct {
	lab     *lab.Lab
	server  *xds.Server
	ads     string // its address
	version string
	proxies map[ir.Identity]*proxy
	scenes  int
	// stage is what is shown; nil before the first scene.
	stage     *stage
	processes *planes.Processes

	mu      sync.Mutex
	clients map[string]*tls.Config // by identity and protocol
}

// proxy is an Envoy that runs.
type proxy struct {
	*lab.Process
	used int // the last scene that needed it
}

// New starts the control plane; proxies are started when a scene needs them.
func New() (*Plane, error) {
	version, err := lab.EnvoyVersion()
	if err != nil {
		return nil, err
	}
	l, err := lab.Open()
	if err != nil {
		return nil, err
	}
	p := &Plane{lab: l, server: xds.New(xds.Options{}), version: version, proxies: map[ir.Identity]*proxy{},
		processes: planes.NewProcesses(l, l.Greeter), clients: map[string]*tls.Config{}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		l.Close()
		return nil, err
	}
	p.ads = listener.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		p.server.Serve(ctx, listener) //nolint:errcheck // proxies that hear nothing are noticed
		close(ended)
	}()
	l.OnClose(func() { stop(); <-ended })
	return p, nil
}

// Name implements planes.Plane.
func (p *Plane) Name() string { return "envoy" }

// Programs implements planes.Plane.
func (p *Plane) Programs() []string { return []string{"Envoy " + p.version} }

// Close implements planes.Plane.
func (p *Plane) Close() {
	for _, one := range p.proxies {
		one.Stop() // first: the server waits for its streams
	}
	p.lab.Close()
}

// Show implements planes.Plane. Where proxies listen and what their processes are
// is the plane's own to say, so the options of the scene count for nothing.
func (p *Plane) Show(s planes.Scene) (planes.Showing, error) {
	p.stage = nil
	st, err := p.lay(s)
	if err != nil {
		return planes.Showing{}, err
	}
	target := translators.Target{Backend: "envoy", Options: st.options}
	out := planes.Showing{World: interpret.WorldOf(st.units)}
	out.Output, out.Pieces = translators.Make(st.units, envoy.New(), target, s.Waivers)
	if out.Output.Withheld {
		return out, nil
	}
	refused := p.server.Status().Nacks
	err = p.server.Update(xds.State{Units: st.units, Artifacts: map[string][]translators.Artifact{"envoy": out.Output.Artifacts}})
	if err != nil {
		return out, err
	}
	if err := p.people(st.needed); err != nil {
		return out, err
	}
	if err := p.settled(st, refused); err != nil {
		return out, err
	}
	p.stage = st
	return out, nil
}

// people starts the proxies that are needed, and ends some that were not for long.
func (p *Plane) people(needed []ir.Identity) error {
	p.scenes++
	for _, id := range needed {
		if p.proxies[id] == nil {
			process, err := p.start(id)
			if err != nil {
				return err
			}
			p.proxies[id] = &proxy{Process: process}
		}
		p.proxies[id].used = p.scenes
	}
	for len(p.proxies) > max(most, len(needed)) {
		var oldest ir.Identity
		for id, one := range p.proxies {
			if o := p.proxies[oldest]; o == nil || one.used < o.used || one.used == o.used && id.Compare(oldest) < 0 {
				oldest = id
			}
		}
		p.proxies[oldest].Stop()
		delete(p.proxies, oldest)
	}
	return nil
}

// start starts a proxy with what the product makes for it.
func (p *Plane) start(id ir.Identity) (*lab.Process, error) {
	files, err := p.lab.Files(id.URI("cluster.local"))
	if err != nil {
		return nil, err
	}
	text, err := bootstrap.Envoy(bootstrap.Options{Namespace: id.Namespace, Account: id.Account, Server: p.ads,
		Files: bootstrap.Files{Cert: files.Cert, Key: files.Key, CA: files.CA}, Admin: "127.0.0.1:0"})
	if err != nil {
		return nil, err
	}
	name := "envoy-" + id.Namespace + "-" + id.Account
	return p.lab.StartEnvoy(name[:min(len(name), 100)], text) // it names a directory
}

// calm is for how long nothing may be sent for an update to be over.
const calm = 20 * time.Millisecond

// settled waits until every proxy has taken over all that it was sent and listens
// wherever the scene wants somebody to.
func (p *Plane) settled(st *stage, refused uint64) error {
	var err error
	var pushes uint64
	var since time.Time
	waited := p.lab.Eventually("proxies that use what they were sent", 20*time.Second, func() bool {
		s := p.server.Status()
		if s.Nacks > refused {
			err = fmt.Errorf("%s refused %s: %s", s.LastNack.Node, s.LastNack.TypeURL, s.LastNack.Text)
			return true
		}
		if s.Pushes != pushes || !inUse(s, st.needed) {
			pushes, since = s.Pushes, time.Now()
			return false
		}
		return time.Since(since) >= calm
	})
	if err = errors.Join(err, waited); err != nil {
		return err
	}
	for _, port := range st.places {
		if err := p.lab.Eventually("listener at "+lab.Local(port), 20*time.Second, func() bool { return lab.Listens(port) }); err != nil {
			return err
		}
	}
	return nil
}

// inUse reports whether each of those who are needed is there, and everybody uses
// what was sent. What a proxy does not watch, such as routes while no listener
// needs any, it is not sent.
func inUse(s xds.Status, needed []ir.Identity) bool {
	there := map[ir.Identity]bool{}
	for _, n := range s.Nodes {
		types := map[string]bool{}
		for _, t := range n.Types {
			if t.Accepted == "" || t.Accepted != t.Sent {
				return false
			}
			types[t.TypeURL[strings.LastIndexByte(t.TypeURL, '.')+1:]] = true
		}
		there[ir.Identity{Namespace: n.Namespace, Account: n.Account}] = types["Cluster"] && types["Listener"]
	}
	return !slices.ContainsFunc(needed, func(id ir.Identity) bool { return !there[id] })
}
