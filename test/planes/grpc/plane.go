// Package grpc is the plane of applications that speak xDS themselves: grpc-go
// clients and servers in this process, each with an identity of its own, under
// meshknot's own xDS server over mTLS.
//
// Servers live from scene to scene while their workload does. A client asks the
// xDS server anew in every scene, and opens its connections anew, each for a few
// calls. A client that is given no identity, or one of another trust domain, has
// no xDS: it calls an address, as any gRPC client does.
package grpc

import (
	"context"
	"fmt"
	"maps"
	"net"
	"sync"
	"time"

	gogrpc "google.golang.org/grpc"

	server "github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
)

const (
	backend     = "grpc"
	trustDomain = "cluster.local"
	// patience is how long anything may take that is awaited.
	patience = 30 * time.Second
)

// control is who the xDS server is.
var control = ir.Identity{Namespace: "mesh", Account: "meshknot"}

// Plane implements planes.Plane.
type Plane struct {
	lab   *lab.Lab
	xds   *server.Server
	ads   string // the address of xds
	stop  context.CancelFunc
	ended chan error
	// servers by what they serve: a port of a workload's pods.
	servers map[ir.ServicePort]*process
	shown   int

	mu    sync.RWMutex
	scene *scene
}

// New starts the plane's xDS server in a lab. The servers start with the first
// scene that needs them.
func New(l *lab.Lab) (*Plane, error) {
	files, err := l.Files(control.URI(trustDomain))
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for xDS: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &Plane{lab: l, stop: stop, ended: make(chan error, 1), ads: listener.Addr().String(), servers: map[ir.ServicePort]*process{},
		xds: server.New(server.Options{Grace: time.Second, TLS: &server.TLSFiles{Cert: files.Cert, Key: files.Key, CA: files.CA}})}
	go func() { p.ended <- p.xds.Serve(ctx, listener) }()
	return p, nil
}

// Name implements planes.Plane.
func (p *Plane) Name() string { return backend }

// Programs implements planes.Plane.
func (p *Plane) Programs() []string { return []string{"grpc-go " + gogrpc.Version} }

// Close implements planes.Plane.
func (p *Plane) Close() {
	p.play(nil)
	for _, s := range p.servers {
		s.stop()
	}
	p.servers = nil
	p.stop()
	<-p.ended //nolint:errcheck // it was stopped
}

// play makes a scene, or none, the one that is asked, and ends the one before.
func (p *Plane) play(s *scene) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.scene != nil {
		p.scene.close()
	}
	p.scene = s
}

// Show implements planes.Plane.
func (p *Plane) Show(s planes.Scene) (planes.Showing, error) {
	p.play(nil)
	if err := p.cast(s.Units); err != nil {
		return planes.Showing{}, err
	}
	out, shown, err := p.translate(s)
	if err != nil || shown.Output.Withheld {
		return shown, err
	}
	p.shown++
	before := p.xds.Status().Nacks
	if err := p.update(s.Units, out); err != nil {
		return shown, err
	}
	next := newScene(p, shown, before)
	if err := p.begin(next); err != nil {
		return shown, err
	}
	// Clients and servers read a message only when they have put the one before it
	// to use. So once they accept a second one, which tells them nothing, the first
	// is in use.
	if err := p.update(s.Units, tick(out, p.shown)); err != nil {
		return shown, err
	}
	if err := p.await(next); err != nil {
		return shown, err
	}
	p.play(next)
	return shown, nil
}

// translate makes what the servers and clients are told, with the endpoints of
// the scene replaced by the processes of this plane.
func (p *Plane) translate(s planes.Scene) ([]translators.Artifact, planes.Showing, error) {
	b, ok := all.Pipeline().Backend(backend)
	if !ok {
		return nil, planes.Showing{}, fmt.Errorf("there is no back end %s", backend)
	}
	target := translators.Target{Backend: backend, Options: map[string]string{}}
	maps.Copy(target.Options, s.Options)
	for at, process := range p.servers {
		target.Options["serve."+at.String()] = process.address()
	}
	units := s.Policies()
	shown := planes.Showing{World: interpret.WorldOf(units)}
	shown.Output, shown.Pieces = translators.Make(append(units, p.endpoints(units)...), b, target, s.Waivers)
	return shown.Output.Artifacts, shown, nil
}

func (p *Plane) update(units []ir.Unit, artifacts []translators.Artifact) error {
	if err := p.xds.Update(server.State{Units: units, Artifacts: map[string][]translators.Artifact{backend: artifacts}}); err != nil {
		return fmt.Errorf("serving xDS: %w", err)
	}
	return nil
}

// begin lets the servers of a scene serve, and waits until they do.
func (p *Plane) begin(s *scene) error {
	if err := p.serve(s); err != nil {
		return err
	}
	return p.await(s)
}

// await waits until every server of the scene has put all of it to use.
func (p *Plane) await(s *scene) error {
	var refused error
	err := p.lab.Eventually("server that has what is served", patience, func() bool {
		if refused = p.refused(s.nacks); refused != nil {
			return true
		}
		current := map[string]bool{}
		for _, n := range p.xds.Status().Nodes {
			current[n.Node] = n.InSync
		}
		for at := range s.places {
			if process := p.servers[at]; !current[process.node] || !process.serving.Load() {
				return false
			}
		}
		return true
	})
	if refused != nil {
		return refused
	}
	return err
}

// refused returns what was refused since the refusals were as many as before.
func (p *Plane) refused(before uint64) error {
	if s := p.xds.Status(); s.Nacks > before {
		return fmt.Errorf("%s refuses %s %s: %s", s.LastNack.Node, s.LastNack.TypeURL, s.LastNack.Resource, s.LastNack.Text)
	}
	return nil
}
