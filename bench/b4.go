package main

import (
	"context"
	"fmt"
	"time"

	"github.com/meshknot/meshknot/bench/fleet"
	"github.com/meshknot/meshknot/bench/server"
	"github.com/meshknot/meshknot/bench/world"
)

// b4 restarts the server. Every client comes back with the versions it has; one
// endpoint has changed meanwhile, and that is all it is to be sent.
func b4(ctx context.Context, s sizes, r *Result) error {
	w := world.World{Clusters: s.names}
	full, resume := map[string]costs{}, map[string]costs{}
	who := []string{server.Meshknot, server.Linear, server.Snapshot}
	who = turns(r, who, 1, func(name string) error {
		first, c, err := open(ctx, name, w, s.clients, fleet.World(w), world.ClusterType, world.EndpointType)
		if err != nil {
			return err
		}
		asks := fleet.World(w)
		for i := range asks {
			asks[i].Has, asks[i].After = first.fleet.Versions(asks[i].Type), 0
		}
		first.close()
		full[name] = append(full[name], c)
		if c, err = resumed(ctx, name, w, s.clients, asks); err != nil {
			return err
		}
		resume[name] = append(resume[name], c)
		return nil
	})
	of := fmt.Sprintf("%d clients x %d resources, 1 changed", s.clients, 2*s.names)
	for _, name := range who {
		share := 100 * float64(resume[name][0].bytes) / float64(full[name][0].bytes)
		r.row(of, name, append(resume[name].values(s.clients), number("wire B/client", float64(resume[name][0].bytes)/float64(s.clients)),
			number("% of full state", share), mib("peak RSS", float64(resume[name][0].server.Peak)))...)
		if name == server.Meshknot {
			r.figure("of the bytes of the full state", share)
		}
	}
	return needed(who, server.Meshknot)
}

// resumed starts a server anew, sets the one change, and has the clients come back.
func resumed(ctx context.Context, who string, w world.World, clients int, asks []fleet.Ask) (cost, error) {
	proc, err := server.Start(ctx, who, w)
	if err != nil {
		return cost{}, err
	}
	s := &session{who: who, world: w, proc: proc}
	defer s.close()
	if s.fleet, err = fleet.New(proc.Addr, asks); err != nil {
		return cost{}, err
	}
	if err := profile(proc, who); err != nil {
		return cost{}, err
	}
	change := world.Change{Type: world.EndpointType, Index: 7, Version: 1}
	hash, err := change.Resource().Hash()
	if err != nil {
		return cost{}, err
	}
	if err := proc.Change(change); err != nil {
		return cost{}, err
	}
	c, err := s.during(ctx, func(ctx context.Context) (*fleet.Goal, error) { return s.fleet.Add(ctx, clients, 1, hash) })
	if err != nil {
		return c, fmt.Errorf("coming back: %w", err)
	}
	return c, s.fleet.Quiet(ctx, 200*time.Millisecond)
}
