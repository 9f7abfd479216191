// Package controller keeps a cluster as its policies say: it follows SMI and
// Gateway API objects, MeshBindings and what exists, translates what changed with
// the engine that every other verb uses, gives proxies and meshes the difference,
// and says on the user's objects whether what was asked for is in force.
//
// One goroutine, the loop, owns what is known and decides; see its comment for all
// that can happen. Beside it, a publisher writes the objects of meshes and a writer
// writes reports, both only while this replica leads. Proxies are served whoever
// leads, and whether or not the API server can be reached.
package controller

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/meshknot/meshknot/internal/feed"
	"github.com/meshknot/meshknot/internal/telemetry"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// Options are what a Controller is made of.
type Options struct {
	Pipeline translators.Pipeline
	// Status computes the status of an object of Gateway API; nil: none are written.
	Status StatusFunc
	// LastGood is what is used of an object that is rejected now; nil: what it is now.
	LastGood func(last, now input.Object) input.Object
	// Server gives proxies their configuration; nil: this replica serves none.
	Server Server
	// Sinks by name (SinkCluster, SinkConsul); what has none is not written.
	Sinks map[string]Sink
	// Writes: this replica writes while it leads.
	Writes bool
	// Election says how replicas agree on who leads, and know of each other's proxies;
	// nil: there is but this one.
	Election *Election
	// Seen, if set, is told of every batch before it is compiled, with the JSON of
	// every object.
	Seen func([]feed.Change)
	// Audit, if set, is run while this replica leads, until its context ends. It gives
	// what rules have against objects, all of it, each time when it has looked.
	Audit   func(ctx context.Context, give func(map[report.Ref]report.Report))
	Metrics *telemetry.Metrics
	Traces  *telemetry.Traces
	Log     *slog.Logger
}

// Controller follows a cluster.
type Controller struct {
	o     Options
	feed  *feed.Feed
	loop  *loop
	world *World
	cfg   *rest.Config
	peers *peers // nil where there are none
}

// New makes a controller for an API server. It asks nothing yet.
func New(cfg *rest.Config, o Options) (*Controller, error) {
	if o.Metrics == nil || o.Log == nil {
		return nil, errors.New("a controller needs metrics and a log")
	}
	if o.Traces == nil {
		o.Traces = telemetry.NoTraces()
	}
	f, err := feed.New(cfg, feed.Options{Kinds: watched(o.Pipeline.Schemas(), o.Seen != nil), Schemas: o.Pipeline.Schemas()})
	if err != nil {
		return nil, err
	}
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1 // writers are few, and each waits for its answer
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, err
	}
	disco, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname() // which names the instance in events
	w := NewWorld(o.Pipeline, o.Metrics)
	made := &Controller{o: o, feed: f, world: w, cfg: cfg, loop: newLoop(o, f, o.Server, w, client, disco, cmp.Or(host, "meshknot"))}
	if o.Sinks[SinkCluster] != nil {
		made.loop.publisher.verdicts = listening(cfg, o.Log)
	}
	if o.Server != nil && o.Election != nil {
		if made.peers, err = newPeers(cfg, o.Election, o.Log, func() { signal(made.loop.answered) }); err != nil {
			return nil, err
		}
		made.loop.proxies.peers = made.peers
	}
	o.Metrics.Settled(made.Settled)
	return made, nil
}

// World is what is compiled, for who has to ask what a change would come to.
func (c *Controller) World() *World { return c.world }

// Compiled is closed once everything was read, compiled and handed over.
func (c *Controller) Compiled() <-chan struct{} { return c.loop.fresh }

// Feed tells what can be watched.
func (c *Controller) Feed() feed.State { return c.feed.State() }

// Settled reports whether this replica leads and has nothing left to write or to say,
// as far as it knows.
func (c *Controller) Settled() bool {
	return c.loop.idle.Load() && c.loop.publisher.settledAll() && c.loop.writer.settled()
}

// Run follows the cluster until ctx ends, which is no error.
func (c *Controller) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.feed.Run(ctx) })
	g.Go(func() error { c.loop.run(ctx); return nil })
	if c.peers != nil {
		g.Go(func() error { return c.peers.run(ctx) })
	}
	if c.o.Writes {
		g.Go(func() error { return c.o.Election.run(ctx, c.cfg, c.o.Log, c.lead) })
	}
	return g.Wait()
}

// lead writes until ctx ends, which is when somebody else may lead.
func (c *Controller) lead(ctx context.Context) {
	tell := func(leading bool, until <-chan struct{}) {
		select {
		case c.loop.leads <- leading:
		case <-until:
		}
	}
	var g errgroup.Group
	p := c.loop.publisher
	g.Go(func() error { p.lead(ctx); return nil })
	g.Go(func() error { p.verdicts.lead(ctx, p.said); return nil })
	g.Go(func() error { c.loop.writer.lead(ctx); return nil })
	if c.o.Audit != nil {
		g.Go(func() error { c.o.Audit(ctx, c.loop.hear(ctx)); return nil })
	}
	tell(true, ctx.Done())
	_ = g.Wait() // none fails
	tell(false, c.loop.ended)
}
