// Package xds serves artifacts to proxies over ADS, as state of the world and
// as deltas. A proxy says who it is and gets what is meant for it; versions are
// hashes of content, so what did not change is not sent again. What proxies
// refuse is counted and led back to the user's own objects.
package xds

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/sotw/v3"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
)

// Options are the settings of a Server. Zero fields mean the defaults.
type Options struct {
	// TrustDomain of the proxies' SPIFFE identities ("cluster.local").
	TrustDomain string
	// TLS, when set, is how the proxies and the server prove who they are.
	TLS *TLSFiles
	// Insecure allows plaintext beyond loopback, where anybody may claim to be
	// anyone.
	Insecure bool
	// MaxStreams bounds the streams of one connection (100), MaxMessage the
	// bytes of a message received (4 MiB).
	MaxStreams uint32
	MaxMessage int
	// MaxAge of a connection (30 minutes): a proxy proves anew who it is, and
	// the load spreads over servers.
	MaxAge time.Duration
	// Grace is how long Serve waits for streams when it stops (5 seconds).
	Grace time.Duration
}

func (o Options) withDefaults() Options {
	o.TrustDomain = cmp.Or(o.TrustDomain, "cluster.local")
	o.MaxStreams = cmp.Or(o.MaxStreams, 100)
	o.MaxMessage = cmp.Or(o.MaxMessage, 4<<20)
	o.MaxAge = cmp.Or(o.MaxAge, 30*time.Minute)
	o.Grace = cmp.Or(o.Grace, 5*time.Second)
	return o
}

// State is what the proxies are to have.
type State struct {
	// Units are shown at /debug/units.
	Units []ir.Unit
	// Artifacts by the name of their back end. A back end that is not in the
	// map keeps what it has, as one whose output was withheld must.
	Artifacts map[string][]translators.Artifact
}

// Server serves a State. It is safe for concurrent use.
type Server struct {
	options Options
	cache   cache.SnapshotCache
	journal *journal
	serving atomic.Int32

	mu       sync.Mutex
	desired  map[string]*desired // by back end
	roles    map[role]*audience
	units    []ir.Unit
	revision int
}

// audience is the proxies of one role: all of them get the same.
type audience struct {
	streams int
	has     contents
	sent    *cache.Snapshot // what it has, as the cache has it; nil before the first time
}

// New makes a server that has nothing to say yet: until the first Update
// proxies that connect are kept waiting, and so keep what they have.
func New(o Options) *Server {
	s := &Server{options: o.withDefaults(), journal: newJournal(),
		desired: map[string]*desired{}, roles: map[role]*audience{}}
	s.cache = cache.NewSnapshotCache(false, roleHash{}, nil)
	return s
}

// Update brings the proxies to a state. When an artifact cannot be served
// nothing is changed.
func (s *Server) Update(state State) error {
	next := map[string]*desired{}
	for name, artifacts := range state.Artifacts {
		d, err := newDesired(artifacts)
		if err != nil {
			return fmt.Errorf("updating %s: %w", name, err)
		}
		next[name] = d
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, d := range next {
		s.desired[name] = d
	}
	s.units = state.Units
	s.revision++
	for r, a := range s.roles {
		if err := s.publish(r, a); err != nil {
			return err
		}
	}
	return nil
}

// publish sends an audience what it does not have.
func (s *Server) publish(r role, a *audience) error {
	d := s.desired[r.backend]
	if d == nil {
		return nil
	}
	next := d.forRole(r)
	todo := []contents{next}
	if a.sent != nil {
		todo = steps(a.has, next)
	}
	for _, step := range todo {
		snapshot, err := step.snapshot()
		if err == nil {
			err = s.cache.SetSnapshot(context.Background(), r.String(), snapshot)
		}
		if err != nil {
			return fmt.Errorf("publishing to %s: %w", r, err)
		}
		a.has, a.sent = step, snapshot
	}
	return nil
}

// join counts a stream of a role and makes sure that there is something for it.
func (s *Server) join(r role) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.roles[r]
	if a == nil {
		a = &audience{}
		s.roles[r] = a
		if err := s.publish(r, a); err != nil {
			return err
		}
	}
	a.streams++
	return nil
}

// leave forgets a role with its last stream.
func (s *Server) leave(r role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.roles[r]
	if a == nil {
		return
	}
	if a.streams--; a.streams == 0 {
		delete(s.roles, r)
		s.cache.ClearSnapshot(r.String())
	}
}

// Serve answers proxies on a listener until ctx ends, then lets them go and
// closes it. Beyond loopback it wants mTLS, or to be told that it may do without.
func (s *Server) Serve(ctx context.Context, lis net.Listener) error {
	defer lis.Close()
	opts, err := s.serverOptions(lis.Addr())
	if err != nil {
		return err
	}
	streams, endStreams := context.WithCancel(context.Background())
	defer endStreams()
	sess := newSession(s)
	ads := serverv3.NewServer(streams, s.cache, sess, sotw.WithOrderedADS())
	g := grpc.NewServer(opts...)
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, ads)

	s.serving.Add(1)
	defer s.serving.Add(-1)
	failed := make(chan error, 1)
	go func() { failed <- g.Serve(lis) }()
	select {
	case err := <-failed:
		g.Stop()
		return fmt.Errorf("serving xDS on %s: %w", lis.Addr(), err)
	case <-ctx.Done():
	}
	endStreams()
	stopped := make(chan struct{})
	go func() { g.GracefulStop(); close(stopped) }()
	select {
	case <-stopped:
	case <-time.After(s.options.Grace):
		g.Stop()
		<-stopped
	}
	<-failed //nolint:errcheck // it was stopped
	return nil
}

func (s *Server) serverOptions(addr net.Addr) ([]grpc.ServerOption, error) {
	creds, err := s.options.credentials(addr)
	if err != nil {
		return nil, err
	}
	return []grpc.ServerOption{
		grpc.Creds(creds),
		grpc.MaxConcurrentStreams(s.options.MaxStreams),
		grpc.MaxRecvMsgSize(s.options.MaxMessage),
		grpc.ConnectionTimeout(10 * time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: 30 * time.Second, Timeout: 10 * time.Second,
			MaxConnectionAge: s.options.MaxAge, MaxConnectionAgeGrace: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime: 10 * time.Second, PermitWithoutStream: true}),
	}, nil
}

// Ready reports whether the server serves a state.
func (s *Server) Ready() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revision > 0 && s.serving.Load() > 0
}
