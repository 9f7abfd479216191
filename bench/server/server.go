// Package server is the servers of a benchmark. Each runs in a process of its own,
// so that its processor time and its memory are its alone, and does what its
// parent says: serve a world, change a resource, say what it has used.
package server

import (
	"context"
	"net"

	"github.com/meshknot/meshknot/bench/world"
)

// Server serves a world to delta clients.
type Server interface {
	// Load sets the world, once, before anybody connects.
	Load(w world.World) error
	// Change sets one resource, and returns when the server has taken it.
	Change(c world.Change) error
	// Serve answers clients until ctx ends.
	Serve(ctx context.Context, lis net.Listener) error
}

// The names of the servers.
const (
	Meshknot = "meshknot"
	Linear   = "LinearCache"
	Snapshot = "SnapshotCache"
	Floor    = "gRPC floor"
	TCP      = "TCP floor"
)

var servers = map[string]func() Server{
	Meshknot: newMeshknot,
	Linear:   newLinear,
	Snapshot: newSnapshot,
	Floor:    newFloor,
	TCP:      newTCP,
}
