package main

import (
	"context"
	"fmt"
	"time"

	"github.com/meshknot/meshknot/bench/fleet"
	"github.com/meshknot/meshknot/bench/measure"
	"github.com/meshknot/meshknot/bench/server"
	"github.com/meshknot/meshknot/bench/world"
)

// patience is how long anything may take at the most.
const patience = 3 * time.Minute

// session is a server in a process of its own and clients in this one.
type session struct {
	who   string
	world world.World
	proc  *server.Process
	fleet *fleet.Fleet
	n     int
	// version counts the changes.
	version int
}

// cost is what something took: at both ends, and for each client.
type cost struct {
	wall    time.Duration
	clients []time.Duration // until each had all of it
	server  measure.Usage
	mine    time.Duration // the clients' processor time
	bytes   int64
}

// open starts a server and connects clients until each has all it asked for.
func open(ctx context.Context, who string, w world.World, n int, asks []fleet.Ask, types ...string) (*session, cost, error) {
	proc, err := server.Start(ctx, who, w)
	if err != nil {
		return nil, cost{}, err
	}
	s := &session{who: who, world: w, proc: proc}
	if s.fleet, err = fleet.New(proc.Addr, asks); err != nil {
		s.close()
		return nil, cost{}, err
	}
	if err := profile(proc, who); err != nil {
		s.close()
		return nil, cost{}, err
	}
	c, err := s.add(ctx, n, types...)
	if err != nil {
		s.close()
		return nil, cost{}, err
	}
	return s, c, nil
}

// add connects more clients, each of which is to get all resources of some types.
func (s *session) add(ctx context.Context, n int, types ...string) (cost, error) {
	sum, count, err := s.world.Sum(types...)
	if err != nil {
		return cost{}, err
	}
	return s.during(ctx, func(ctx context.Context) (*fleet.Goal, error) {
		g, err := s.fleet.Add(ctx, n, count, sum)
		s.n += n
		return g, err
	})
}

// change sets one endpoint resource to a version that it never had, and waits until every client has accepted it.
func (s *session) change(ctx context.Context, index int) (cost, error) {
	s.version++
	return s.set(ctx, world.Change{Type: world.EndpointType, Index: index, Version: s.version})
}

// set is a change to a version.
func (s *session) set(ctx context.Context, c world.Change) (cost, error) {
	hash, err := c.Resource().Hash()
	if err != nil {
		return cost{}, err
	}
	return s.during(ctx, func(context.Context) (*fleet.Goal, error) {
		g := s.fleet.Expect(1, hash)
		return g, s.proc.Change(c)
	})
}

// during measures what it takes until the clients have what f has them expect. The
// time counts only when they have that and no more, once all is quiet again.
func (s *session) during(ctx context.Context, f func(context.Context) (*fleet.Goal, error)) (cost, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	before, err := s.proc.Usage()
	if err != nil {
		return cost{}, err
	}
	mine, read := measure.CPU(), s.fleet.Read()
	began := time.Now()
	g, err := f(ctx)
	if err != nil {
		return cost{}, fmt.Errorf("%s: %w", s.who, err)
	}
	var c cost
	c.clients, err = g.Wait(ctx)
	c.wall = time.Since(began)
	if err != nil {
		return c, fmt.Errorf("%s: %w", s.who, err)
	}
	after, err := s.proc.Settled()
	if err != nil {
		return c, err
	}
	c.server, c.mine, c.bytes = after.Since(before), measure.CPU()-mine, s.fleet.Read()-read
	if err := g.Verify(); err != nil {
		return c, fmt.Errorf("%s, once all was quiet: %w", s.who, err)
	}
	return c, s.fleet.Err()
}

func (s *session) close() {
	if s.fleet != nil {
		s.fleet.Close()
	}
	s.proc.Stop()
}

// costs are those of many rounds.
type costs []cost

func (cs costs) wall() []time.Duration {
	return collect(cs, func(c cost) time.Duration { return c.wall })
}

// each is the quantile of the times of single clients.
func (cs costs) each(q float64) time.Duration {
	var all []time.Duration
	for _, c := range cs {
		all = append(all, c.clients...)
	}
	return measure.Quantile(all, q)
}

// values are the columns of every benchmark of pushes.
func (cs costs) values(clients int) []Value {
	n := float64(clients)
	medianOf := func(f func(cost) float64) float64 { return measure.Median(collect(cs, f)) }
	server := medianOf(func(c cost) float64 { return float64(c.server.CPU) })
	both := medianOf(func(c cost) float64 { return float64(c.server.CPU + c.mine) })
	return []Value{
		ms("median", measure.Median(cs.wall())),
		ms("worst", measure.Quantile(cs.wall(), 1)),
		ms("client p99", cs.each(0.99)),
		us("server CPU/client", time.Duration(server/n)),
		us("all CPU/client", time.Duration(both/n)),
		mib("garbage", medianOf(func(c cost) float64 { return float64(c.server.AllocBytes) })),
		number("allocs/client", medianOf(func(c cost) float64 { return float64(c.server.Allocs) })/n),
	}
}

func collect[T, V any](all []T, f func(T) V) []V {
	out := make([]V, len(all))
	for i, v := range all {
		out[i] = f(v)
	}
	return out
}
