package main

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/meshknot/meshknot/bench/fleet"
	"github.com/meshknot/meshknot/bench/measure"
	"github.com/meshknot/meshknot/bench/server"
	"github.com/meshknot/meshknot/bench/world"
)

// b17 counts the bytes that come in at a client's sockets, HTTP/2's framing
// included, for the full state and for one changed endpoint.
func b17(ctx context.Context, s sizes, r *Result) error {
	const clients = 20
	w := world.World{Clusters: s.names}
	of := fmt.Sprintf("%d resources", 2*s.names)
	changed := proto.Size(world.Change{Type: world.EndpointType, Index: 1, Version: 1}.Resource().Message)
	for _, name := range []string{server.Floor, server.Meshknot, server.Linear, server.Snapshot} {
		session, full, err := open(ctx, name, w, clients, fleet.World(w), world.ClusterType, world.EndpointType)
		if err != nil {
			return err
		}
		var each []float64
		for i := range 10 {
			c, err := session.change(ctx, i)
			if err != nil {
				session.close()
				return err
			}
			each = append(each, float64(c.bytes)/clients)
		}
		session.close()
		r.row(of, name, kib("full state", float64(full.bytes)/clients), number("B/change", measure.Median(each)),
			number("B beyond the resource", measure.Median(each)-float64(changed)))
	}
	r.ratio("of SnapshotCache's full state", of, "full state KiB", server.Meshknot, server.Snapshot)
	v, ok := r.find(of, server.Meshknot, "B/change")
	floor, found := r.find(of, server.Floor, "B/change")
	if ok && found {
		r.figure("bytes per change beyond the gRPC floor's", v-floor)
	}
	r.note("the changed resource is %d bytes; its name (%d bytes) goes over the wire a second time, and its type URL twice", changed, len(world.Name(world.EndpointType, 1)))
	return nil
}
