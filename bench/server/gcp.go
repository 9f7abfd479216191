package server

import (
	"context"
	"fmt"
	"net"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"

	"github.com/meshknot/meshknot/bench/world"
)

// linear is go-control-plane's LinearCache, one for each type.
type linear struct {
	caches map[string]*cache.LinearCache
}

func newLinear() Server { return &linear{caches: map[string]*cache.LinearCache{}} }

// Load implements Server.
func (l *linear) Load(w world.World) error {
	byType := map[string]map[string]types.Resource{}
	for _, r := range w.Resources() {
		if byType[r.Type] == nil {
			byType[r.Type] = map[string]types.Resource{}
		}
		byType[r.Type][r.Name] = r.Message
	}
	for t, all := range byType {
		l.caches[t] = cache.NewLinearCache(t, cache.WithInitialResources(all))
	}
	return nil
}

// Change implements Server.
func (l *linear) Change(c world.Change) error {
	r := c.Resource()
	return l.caches[r.Type].UpdateResource(r.Name, r.Message)
}

// Serve implements Server.
func (l *linear) Serve(ctx context.Context, lis net.Listener) error {
	mux := &cache.MuxCache{Classify: func(r *cache.Request) string { return r.GetTypeUrl() },
		ClassifyDelta: func(r *cache.DeltaRequest) string { return r.GetTypeUrl() }, Caches: map[string]cache.Cache{}}
	for t, c := range l.caches {
		mux.Caches[t] = c
	}
	return serveGCP(ctx, mux, lis)
}

// snapshot is go-control-plane's SnapshotCache: all clients share one snapshot.
type snapshot struct {
	cache     cache.SnapshotCache
	resources [types.UnknownType][]types.Resource
	revision  int
}

// everybody is one node: all clients get the same.
type everybody struct{}

// ID implements cache.NodeHash.
func (everybody) ID(*corev3.Node) string { return "everybody" }

func newSnapshot() Server {
	return &snapshot{cache: cache.NewSnapshotCache(false, everybody{}, nil)}
}

// Load implements Server.
func (s *snapshot) Load(w world.World) error {
	for _, r := range w.Resources() {
		kind := cache.GetResponseType(r.Type)
		s.resources[kind] = append(s.resources[kind], r.Message)
	}
	return s.set()
}

// set makes a new snapshot, as the cache wants it for every change.
func (s *snapshot) set() error {
	s.revision++
	next := &cache.Snapshot{}
	for kind, all := range s.resources {
		next.Resources[kind] = cache.NewResources(fmt.Sprint(s.revision), all)
	}
	if err := s.cache.SetSnapshot(context.Background(), everybody{}.ID(nil), next); err != nil {
		return fmt.Errorf("setting the snapshot: %w", err)
	}
	return nil
}

// Change implements Server. The version of a type that did not change stays.
func (s *snapshot) Change(c world.Change) error {
	r := c.Resource()
	s.resources[cache.GetResponseType(r.Type)][c.Index] = r.Message
	return s.set()
}

// Serve implements Server.
func (s *snapshot) Serve(ctx context.Context, lis net.Listener) error {
	return serveGCP(ctx, s.cache, lis)
}

func serveGCP(ctx context.Context, c cache.Cache, lis net.Listener) error {
	g := grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, serverv3.NewServer(ctx, c, nil))
	return serve(ctx, g, lis)
}

func serve(ctx context.Context, g *grpc.Server, lis net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- g.Serve(lis) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
		g.Stop()
		return <-failed
	}
}
