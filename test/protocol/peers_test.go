package protocol

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/sotw/v3"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/proto"
)

// peer is a server of go-control-plane over one of its caches.
type peer struct {
	grpc    *grpc.Server
	stop    context.CancelFunc
	stopped chan error
}

func (p *peer) serve(s setting, c cache.Cache) (string, error) {
	lis, err := listen(s.addr)
	if err != nil {
		return "", err
	}
	var ctx context.Context
	ctx, p.stop = context.WithCancel(context.Background())
	p.stopped = make(chan error, 1)
	var opts []grpc.ServerOption
	if s.age > 0 {
		opts = append(opts, grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: s.age, MaxConnectionAgeGrace: 2 * time.Second}))
	}
	p.grpc = grpc.NewServer(opts...)
	// What speaks for the peer is turned on: answers in order, and the wildcard of
	// old for the types alone that have it.
	ads := serverv3.NewServer(ctx, c, nil, sotw.WithOrderedADS(), sotw.DeactivateLegacyWildcardForTypes([]string{EDS, RDS, SDS}))
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(p.grpc, ads)
	go func() { p.stopped <- p.grpc.Serve(lis) }()
	return lis.Addr().String(), nil
}

// Refused implements server.
func (p *peer) Refused() int { return -1 }

// Stop implements server.
func (p *peer) Stop() {
	p.stop()
	p.grpc.Stop()
	<-p.stopped
}

// snapshotCache serves a whole snapshot to the one group of nodes that there is.
type snapshotCache struct {
	peer
	cache cache.SnapshotCache
}

type oneGroup struct{}

// ID implements cache.NodeHash.
func (oneGroup) ID(*corev3.Node) string { return "all" }

// Start implements server.
func (p *snapshotCache) Start(s setting) (string, error) {
	p.cache = cache.NewSnapshotCache(s.ordered, oneGroup{}, nil)
	return p.serve(s, p.cache)
}

// Set implements server. The version of a type is a hash of its contents, so that
// it changes only with them.
func (p *snapshotCache) Set(r resources) error {
	snapshot := &cache.Snapshot{}
	for kind := range types.UnknownType {
		typeURL, err := cache.GetResponseTypeURL(kind)
		if err != nil {
			return err
		}
		all := sha256.New()
		var items []types.Resource
		for _, name := range slices.Sorted(maps.Keys(r[typeURL])) {
			b, err := proto.MarshalOptions{Deterministic: true}.Marshal(r[typeURL][name])
			if err != nil {
				return err
			}
			all.Write(b)
			items = append(items, r[typeURL][name])
		}
		snapshot.Resources[kind] = cache.NewResources(hex.EncodeToString(all.Sum(nil)[:8]), items)
	}
	return p.cache.SetSnapshot(context.Background(), "all", snapshot)
}

// linearCache serves every type from a cache of its own.
type linearCache struct {
	peer
	caches map[string]*cache.LinearCache
	last   resources
}

// Start implements server. The prefix tells the versions of one life of the
// server from those of the next.
func (p *linearCache) Start(s setting) (string, error) {
	p.caches, p.last = map[string]*cache.LinearCache{}, resources{}
	mux := &cache.MuxCache{Classify: func(q *cache.Request) string { return q.GetTypeUrl() },
		ClassifyDelta: func(q *cache.DeltaRequest) string { return q.GetTypeUrl() }, Caches: map[string]cache.Cache{}}
	for _, t := range order {
		p.caches[t] = cache.NewLinearCache(t, cache.WithVersionPrefix(fmt.Sprintf("%d-", time.Now().UnixNano())))
		mux.Caches[t] = p.caches[t]
	}
	return p.serve(s, mux)
}

// Set implements server. The caches are told of what changed alone, and in the
// order that does the least harm: what is new first, what is gone last.
func (p *linearCache) Set(r resources) error {
	defer func() { p.last = r.clone() }()
	for _, t := range order {
		changed := map[string]types.Resource{}
		for name, m := range r[t] {
			if have := p.last[t][name]; have == nil || !proto.Equal(have, m) {
				changed[name] = m
			}
		}
		if len(changed) == 0 {
			continue
		}
		if err := p.caches[t].UpdateResources(changed, nil); err != nil {
			return err
		}
	}
	for _, t := range slices.Backward(order) {
		var removed []string
		for name := range p.last[t] {
			if r[t][name] == nil {
				removed = append(removed, name)
			}
		}
		if len(removed) == 0 {
			continue
		}
		if err := p.caches[t].UpdateResources(nil, removed); err != nil {
			return err
		}
	}
	return nil
}
