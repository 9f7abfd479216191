package fleet

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/meshknot/meshknot/bench/world"
)

// Goal is what every client is to receive: so many resources, whose hashes have
// this sum. A time counts only when that is what came, and nothing else.
type Goal struct {
	Count int
	Sum   uint64

	began   time.Time
	from    int // the first client that is to receive anything
	left    atomic.Int64
	done    chan struct{}
	clients []progress
}

// progress is what one client has received of a goal.
type progress struct {
	count    atomic.Int64
	removed  atomic.Int64
	sum      atomic.Uint64
	versions atomic.Uint64 // the sum of hashes of names and versions
	after    atomic.Int64  // nanoseconds until its last ACK was written
}

func newGoal(from, clients, count int, sum uint64) *Goal {
	g := &Goal{Count: count, Sum: sum, began: time.Now(), from: from, done: make(chan struct{}), clients: make([]progress, clients)}
	g.left.Store(int64(clients - from))
	return g
}

// received notes one resource.
func (p *progress) received(name, version, body []byte) {
	p.count.Add(1)
	p.sum.Add(world.Hash(name, body))
	p.versions.Add(world.Hash(name, version))
}

// acked notes that a response was accepted; last says whether all has come.
func (g *Goal) acked(client int, before int64) {
	p := &g.clients[client]
	if now := p.count.Load(); before < int64(g.Count) && now >= int64(g.Count) {
		p.after.Store(int64(time.Since(g.began)))
		if g.left.Add(-1) == 0 {
			close(g.done)
		}
	}
}

// Wait until every client has accepted what it was to receive, and return how
// long that took each of them.
func (g *Goal) Wait(ctx context.Context) ([]time.Duration, error) {
	select {
	case <-g.done:
	case <-ctx.Done():
		return nil, fmt.Errorf("%d of %d clients still wait for their %d resources: %w", g.left.Load(), len(g.clients), g.Count, ctx.Err())
	}
	var out []time.Duration
	for i := range g.clients[g.from:] {
		out = append(out, time.Duration(g.clients[g.from+i].after.Load()))
	}
	return out, g.Verify()
}

// Verify that every client has received exactly what it was to receive, those that
// were there before a goal of new ones nothing at all, and that all know it by the same versions. It may be asked again later.
func (g *Goal) Verify() error {
	for i := range g.clients {
		p, count, want := &g.clients[i], int64(g.Count), g.Sum
		if i < g.from {
			count, want = 0, 0
		}
		if n, sum := p.count.Load(), p.sum.Load(); n != count || sum != want || p.removed.Load() != 0 {
			return fmt.Errorf("client %d received %d resources (%d removed, sum %x), and was to receive %d (sum %x)", i, n, p.removed.Load(), sum, count, want)
		}
		if i >= g.from && p.versions.Load() != g.clients[g.from].versions.Load() {
			return fmt.Errorf("client %d knows its resources by other versions than client %d", i, g.from)
		}
	}
	return nil
}
