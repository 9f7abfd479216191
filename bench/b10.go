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

// churn is 20 changes a second.
const churn = time.Second / 20

// b10 lets resources change steadily, routes and endpoints in turn, under clients
// that have all of them.
func b10(ctx context.Context, s sizes, r *Result) error {
	w := world.World{Clusters: 1000, Routes: 5000}
	const clients = 200
	of := fmt.Sprintf("%d clients, %d routes, %d services, %s", clients, w.Routes, w.Clusters, s.churn)
	asks := append(fleet.World(w), fleet.Ask{Type: world.RouteType, Names: w.Names(world.RouteType), After: 2 * w.Clusters})
	var remain []string
	for _, name := range []string{server.Floor, server.Meshknot, server.Snapshot} {
		session, _, err := open(ctx, name, w, clients, asks, world.ClusterType, world.EndpointType, world.RouteType)
		if err != nil {
			return err
		}
		values, err := session.churn(ctx, s.churn)
		session.close()
		if err != nil {
			r.note("%s does not count: %v", name, err)
			continue
		}
		remain = append(remain, name)
		r.row(of, name, values...)
	}
	r.ratio("processor, of the gRPC floor's", of, "% of one core", server.Meshknot, server.Floor)
	r.ratio("processor, of SnapshotCache's", of, "% of one core", server.Meshknot, server.Snapshot)
	if v, ok := r.find(of, server.Meshknot, "memory growth %/min"); ok {
		r.figure("growth of memory", v)
	}
	r.note("memory growth is that of what is in use after garbage was collected, from after the first five seconds to the end")
	return needed(remain, server.Meshknot)
}

// churn changes resources for a while and says what that took, after some seconds
// in which buffers and pools grow to what they need.
func (s *session) churn(ctx context.Context, while time.Duration) ([]Value, error) {
	if _, err := s.changes(ctx, 5*time.Second); err != nil {
		return nil, err
	}
	before, err := s.proc.Resting()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	walls, err := s.changes(ctx, while)
	if err != nil {
		return nil, err
	}
	took := time.Since(began)
	after, err := s.proc.Usage()
	if err != nil {
		return nil, err
	}
	rest, err := s.proc.Resting()
	if err != nil {
		return nil, err
	}
	used := after.Since(before)
	return []Value{
		number("changes/s", float64(len(walls)/s.n)/took.Seconds()),
		ms("client median", measure.Median(walls)), ms("client p99", measure.Quantile(walls, 0.99)),
		number("% of one core", 100*used.CPU.Seconds()/took.Seconds()),
		number("objects/s", float64(used.Allocs)/took.Seconds()), mib("garbage/s", float64(used.AllocBytes)/took.Seconds()),
		mib("RSS", float64(after.RSS)), mib("in use", float64(rest.Heap+rest.Stack)),
		number("memory growth %/min", growth(before.Heap+before.Stack, rest.Heap+rest.Stack, took)),
	}, s.fleet.Err()
}

// growth from one size to another, in percent of the first per minute.
func growth(from, to uint64, while time.Duration) float64 {
	return 100 * (float64(to)/float64(from) - 1) / while.Minutes()
}

// changes makes changes at the rate of churn, or as fast as the server can follow.
func (s *session) changes(ctx context.Context, while time.Duration) ([]time.Duration, error) {
	var walls []time.Duration
	began := time.Now()
	for i := 0; time.Since(began) < while; i++ {
		if wait := time.Until(began.Add(time.Duration(i) * churn)); wait > 0 {
			time.Sleep(wait) // the rate is what is to be kept
		}
		took, err := s.push(ctx, i)
		if err != nil {
			return nil, err
		}
		walls = append(walls, took...)
	}
	return walls, nil
}

// push makes one change and waits for all clients, without waiting for the server
// to rest.
func (s *session) push(ctx context.Context, i int) ([]time.Duration, error) {
	s.version++
	c := world.Change{Type: world.RouteType, Index: i * 37 % s.world.Routes, Version: s.version}
	if i%2 == 1 {
		c.Type, c.Index = world.EndpointType, i*37%s.world.Clusters
	}
	hash, err := c.Resource().Hash()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	g := s.fleet.Expect(1, hash)
	if err := s.proc.Change(c); err != nil {
		return nil, err
	}
	return g.Wait(ctx)
}
