package main

import (
	"context"
	"fmt"

	"github.com/meshknot/meshknot/bench/fleet"
	"github.com/meshknot/meshknot/bench/server"
	"github.com/meshknot/meshknot/bench/world"
)

// b3 connects clients that all want the full state: all clusters by wildcard, and
// then their endpoints by name.
func b3(ctx context.Context, s sizes, r *Result) error {
	w := world.World{Clusters: s.names}
	all := map[string]costs{}
	who := []string{server.Floor, server.Meshknot, server.Linear, server.Snapshot}
	who = turns(r, who, s.pairs, func(name string) error {
		session, c, err := open(ctx, name, w, s.clients, fleet.World(w), world.ClusterType, world.EndpointType)
		if err != nil {
			return err
		}
		session.close()
		all[name] = append(all[name], c)
		return nil
	})
	of := fmt.Sprintf("%d clients x %d resources", s.clients, 2*s.names)
	for _, name := range who {
		r.row(of, name, append(all[name].values(s.clients), mib("wire", float64(all[name][0].bytes)))...)
	}
	r.ratio("less CPU than SnapshotCache", of, "server CPU/client µs", server.Snapshot, server.Meshknot)
	r.ratio("less CPU than SnapshotCache, both ends", of, "all CPU/client µs", server.Snapshot, server.Meshknot)
	r.ratio("times faster than SnapshotCache", of, "median ms", server.Snapshot, server.Meshknot)
	r.ratio("times the gRPC floor", of, "median ms", server.Meshknot, server.Floor)
	return needed(who, server.Meshknot)
}
