package main

import (
	"context"
	"fmt"

	"github.com/meshknot/meshknot/bench/fleet"
	"github.com/meshknot/meshknot/bench/measure"
	"github.com/meshknot/meshknot/bench/server"
	"github.com/meshknot/meshknot/bench/world"
)

// b1 changes one endpoint, which many clients have among many others.
func b1(ctx context.Context, s sizes, r *Result) error {
	all := map[string]costs{}
	who := []string{server.TCP, server.Floor, server.Meshknot, server.Linear, server.Snapshot}
	who = turns(r, who, s.pairs, func(name string) error {
		cs, err := pushes(ctx, name, s.clients, s.names, s.rounds)
		all[name] = append(all[name], cs...)
		return err
	})
	of := label(s.clients, s.names)
	for _, name := range who {
		r.row(of, name, all[name].values(s.clients)...)
	}
	r.ratio("times faster than LinearCache", of, "median ms", server.Linear, server.Meshknot)
	r.ratio("times faster than SnapshotCache", of, "median ms", server.Snapshot, server.Meshknot)
	r.ratio("times the gRPC floor", of, "median ms", server.Meshknot, server.Floor)
	r.ratio("server CPU, of the gRPC floor's", of, "server CPU/client µs", server.Meshknot, server.Floor)
	r.ratio("server CPU, of LinearCache's", of, "server CPU/client µs", server.Meshknot, server.Linear)
	if v, ok := r.find(of, server.Meshknot, "garbage MiB"); ok {
		r.figure("garbage per change", v)
	}
	if v, ok := r.find(of, server.Meshknot, "allocs/client"); ok {
		r.figure("allocations per client", v)
	}
	return needed(who, server.Meshknot)
}

func label(clients, names int) string { return fmt.Sprintf("%d clients x %d names", clients, names) }

// pushes is one block: a server, its clients, and rounds of one change each. Two
// changes before the first round warm up both ends.
func pushes(ctx context.Context, who string, clients, names, rounds int) (costs, error) {
	if who == server.TCP {
		return pushesTCP(ctx, clients, rounds)
	}
	w := world.World{Clusters: names}
	s, _, err := open(ctx, who, w, clients, fleet.Endpoints(w), world.EndpointType)
	if err != nil {
		return nil, err
	}
	defer s.close()
	var out costs
	for i := range rounds + 2 {
		c, err := s.change(ctx, (i*37)%names)
		if err != nil {
			return nil, err
		}
		if i >= 2 {
			out = append(out, c)
		}
	}
	return out, nil
}

// pushesTCP is the same on plain connections.
func pushesTCP(ctx context.Context, clients, rounds int) (costs, error) {
	proc, err := server.Start(ctx, server.TCP, world.World{})
	if err != nil {
		return nil, err
	}
	defer proc.Stop()
	f, err := fleet.DialTCP(proc.Addr, clients, server.PushSize, server.AckSize)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out costs
	for i := range rounds + 2 {
		before, err := proc.Usage()
		if err != nil {
			return nil, err
		}
		mine, g := measure.CPU(), f.Expect(i+1)
		if err := proc.Change(world.Change{Index: clients, Version: i + 1}); err != nil {
			return nil, err
		}
		times, err := f.Wait(ctx, g)
		if err != nil {
			return nil, err
		}
		after, err := proc.Settled()
		if err != nil {
			return nil, err
		}
		if i >= 2 {
			out = append(out, cost{wall: measure.Quantile(times, 1), clients: times, server: after.Since(before), mine: measure.CPU() - mine})
		}
	}
	return out, nil
}
