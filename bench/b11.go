package main

import (
	"context"
	"fmt"

	"github.com/meshknot/meshknot/bench/fleet"
	"github.com/meshknot/meshknot/bench/measure"
	"github.com/meshknot/meshknot/bench/server"
	"github.com/meshknot/meshknot/bench/world"
)

// b11 measures what an idle client costs its server: what is in use with all
// clients connected, less what was in use before, after garbage was collected.
func b11(ctx context.Context, s sizes, r *Result) error {
	who := []string{server.Floor, server.Meshknot, server.Linear, server.Snapshot}
	for _, names := range []int{s.names / 100, s.names} {
		w := world.World{Clusters: names}
		of := fmt.Sprintf("%d clients x %d resources", s.clients, 2*names)
		runtimeKiB, rss := map[string][]float64{}, map[string][]float64{}
		remain := turns(r, who, 1, func(name string) error {
			before, after, err := idle(ctx, name, w, s.clients)
			if err != nil {
				return err
			}
			n := float64(s.clients)
			runtimeKiB[name] = append(runtimeKiB[name], (float64(after.Heap+after.Stack)-float64(before.Heap+before.Stack))/n)
			rss[name] = append(rss[name], (float64(after.RSS)-float64(before.RSS))/n)
			return nil
		})
		for _, name := range remain {
			r.row(of, name, kib("heap+stack/client", measure.Median(runtimeKiB[name])), kib("RSS/client", measure.Median(rss[name])))
		}
		if v, ok := r.find(of, server.Meshknot, "heap+stack/client KiB"); ok {
			r.figure("memory of an idle client", v) // that with the most names is the last
		}
	}
	r.note("what a client costs the kernel (its socket's buffers) is not in these figures; RSS holds garbage that the runtime has not given back")
	return nil
}

// idle is a server's usage before and after its clients have come.
func idle(ctx context.Context, who string, w world.World, clients int) (before, after measure.Usage, err error) {
	s, _, err := open(ctx, who, w, 1, fleet.World(w), world.ClusterType, world.EndpointType)
	if err != nil {
		return before, after, err
	}
	defer s.close()
	if before, err = s.proc.Resting(); err != nil {
		return before, after, err
	}
	if _, err = s.add(ctx, clients, world.ClusterType, world.EndpointType); err != nil {
		return before, after, err
	}
	// A change to every client, so that all have been used and rest again.
	if _, err = s.change(ctx, 1); err != nil {
		return before, after, err
	}
	after, err = s.proc.Resting()
	return before, after, err
}
