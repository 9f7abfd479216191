// Package xds serves artifacts to proxies over ADS, as state of the world and
// as deltas. A proxy says who it is and gets what is meant for it; versions are
// hashes of content, so what did not change is not sent again. What a change
// costs follows the change and those who see it, not all that there is: see
// docs/decisions/011-xds-server.md. What proxies refuse is counted and led back to
// the user's own objects.
package xds

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	channelz "google.golang.org/grpc/channelz/service"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
)

// State is what the proxies are to have.
type State struct {
	// Units are shown at /debug/units, unless Options.Units is set.
	Units []ir.Unit
	// Artifacts by the name of their back end. A back end that is not in the
	// map keeps what it has, as one whose output was withheld must.
	Artifacts map[string][]translators.Artifact
}

// Server serves a State. It is safe for concurrent use.
type Server struct {
	options Options
	serving atomic.Int32
	stated  atomic.Bool // there was a state
	health  *health.Server

	// mu guards what follows, the stores and the schedules. What can happen: a
	// change arrives (Apply, Update); changes that were held back go out (flush,
	// after the wave before them or its time); a stream is opened, says who it is,
	// asks or answers, has sent something, waits too long, and ends.
	mu       sync.Mutex
	stores   map[string]*store // by back end
	want     map[place]*resource
	awaited  map[place]awaited  // by the place of the endpoints for everybody
	late     map[place]struct{} // places where the stores may differ from what is wanted
	filled   map[string]bool    // back ends that Apply or Update were about
	wave     int                // streams that still send what changed last
	trailing *time.Timer        // ends the wait for them; nil if nothing waits
	streams  map[*stream]struct{}
	packs    packs
	units    []ir.Unit
	revision int
	total    Status
	// listener is told of answers; untold: there were some since it was, telling: it
	// is being told.
	listener        func()
	untold, telling bool
}

// place is where a resource goes: the slot of an artifact in a back end.
type place struct {
	backend, name string
	kind          kind
	audience      ir.Audience
}

// New makes a server that has nothing to say yet: until the first Update or Apply
// proxies that connect are kept waiting, and so keep what they have.
func New(o Options) *Server {
	s := &Server{health: health.NewServer(), options: o.withDefaults(), stores: map[string]*store{}, want: map[place]*resource{}, awaited: map[place]awaited{},
		late: map[place]struct{}{}, filled: map[string]bool{}, streams: map[*stream]struct{}{}, packs: packs{byContent: map[uint64]*pack{}}}
	s.tell()
	return s
}

// tell has the health service say whether there is something to serve.
func (s *Server) tell() {
	now := healthv1.HealthCheckResponse_NOT_SERVING
	if s.Ready() {
		now = healthv1.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus("", now)
}

// store returns the store of a back end.
func (s *Server) store(backend string) *store {
	if s.stores[backend] == nil {
		s.stores[backend] = newStore()
	}
	return s.stores[backend]
}

// Update brings the proxies to a state, which costs as much as the state is
// large. When an artifact cannot be served nothing is changed.
func (s *Server) Update(state State) error {
	next := map[place]*resource{}
	for backend, artifacts := range state.Artifacts {
		for _, a := range artifacts {
			r, err := encode(a)
			if err != nil {
				return fmt.Errorf("updating %s: %w", backend, err)
			}
			if at := r.place(backend); next[at] == nil {
				next[at] = r
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for at := range s.want {
		if _, about := state.Artifacts[at.backend]; about && next[at] == nil {
			s.put(at, nil)
		}
	}
	for at, r := range next {
		s.put(at, r)
	}
	s.units = state.Units
	backends := make([]string, 0, len(state.Artifacts))
	for backend := range state.Artifacts {
		backends = append(backends, backend)
	}
	s.changed(backends...)
	return nil
}

// Apply changes what proxies are to have of the changes' back ends; those of one
// that is withheld keep what they have. A slot that is both removed and put is put.
// It costs what the changes cost. When an artifact cannot be served nothing is changed.
func (s *Server) Apply(changes []translators.Change) error {
	next := map[place]*resource{}
	backends := make([]string, 0, len(changes))
	for _, c := range changes {
		if c.Withheld {
			continue
		}
		backend := c.Target.Backend
		backends = append(backends, backend)
		for _, slot := range c.Remove {
			k, ok := kindOf(slot.ID.Type)
			if !ok {
				return fmt.Errorf("changing %s: nothing of %s is served", backend, slot.ID.Type)
			}
			next[place{backend, slot.ID.Name, k, slot.Audience}] = nil
		}
		for _, a := range c.Put {
			r, err := encode(a)
			if err != nil {
				return fmt.Errorf("changing %s: %w", backend, err)
			}
			next[r.place(backend)] = r
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for at, r := range next {
		s.put(at, r)
	}
	s.changed(backends...)
	return nil
}

func (r *resource) place(backend string) place { return place{backend, r.name, r.kind, r.audience} }

// put notes what a place is to hold; nil for nothing.
func (s *Server) put(at place, r *resource) {
	old := s.want[at]
	switch {
	case r == nil && old == nil, same(old, r) && slices.Equal(old.refs, r.refs):
		return
	case r == nil:
		delete(s.want, at)
	default:
		s.want[at] = r
	}
	s.await(at, old, r)
	s.late[at] = struct{}{}
}

// changed lets changes go out: at once or, while the ones before are still being
// sent, when they were, but soon. Meanwhile the latest of each place wins.
func (s *Server) changed(backends ...string) {
	if s.revision++; s.stated.CompareAndSwap(false, true) {
		s.tell()
	}
	for _, b := range backends {
		s.filled[b] = true
	}
	if s.wave == 0 {
		s.flush()
	} else if s.trailing == nil {
		s.trailing = time.AfterFunc(s.options.Trailing, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.trailing != nil {
				s.flush()
			}
		})
	}
}

// ebb notes that one stream less sends what changed last.
func (s *Server) ebb() {
	if s.wave--; s.wave == 0 && s.trailing != nil {
		s.flush()
	}
}

// flush puts changes into the stores and wakes the streams that see them.
func (s *Server) flush() {
	if s.trailing != nil {
		s.trailing.Stop()
		s.trailing = nil
	}
	var touched []*stream
	now := time.Now()
	for at := range s.late {
		s.store(at.backend).set(at.kind, at.name, at.audience, s.wanted(at), now, func(st *stream) {
			if !st.touched {
				st.touched = true
				touched = append(touched, st)
			}
		})
	}
	if len(s.late) > 1024 {
		s.late = map[place]struct{}{} // a map keeps the size that it once had
	}
	clear(s.late)
	for _, st := range touched {
		st.touched = false
		s.kick(st, true)
	}
	for b := range s.filled {
		if to := s.store(b); !to.isReady() {
			close(to.ready)
		}
	}
	s.news()
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
	g := grpc.NewServer(opts...)
	s.register(streams, g, loopback(lis.Addr()))

	s.serving.Add(1)
	s.tell()
	go s.watch(streams)
	failed := make(chan error, 1)
	go func() { failed <- g.Serve(lis) }()
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	s.serving.Add(-1)
	s.tell()
	if err != nil {
		g.Stop()
		return fmt.Errorf("serving xDS on %s: %w", lis.Addr(), err)
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

// register adds the services that are served, and no others.
func (s *Server) register(streams context.Context, g *grpc.Server, local bool) {
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, &ads{server: s, context: streams})
	statusv3.RegisterClientStatusDiscoveryServiceServer(g, &csds{server: s, local: local, context: streams})
	healthv1.RegisterHealthServer(g, s.health)
	if s.options.Debug {
		reflection.Register(g)
		channelz.RegisterChannelzServiceToServer(g)
	}
}

// watch cuts clients that do not read, while a listener is served.
func (s *Server) watch(ctx context.Context) {
	ticks := time.NewTicker(max(s.options.SendTimeout/8, 10*time.Millisecond))
	defer ticks.Stop()
	for {
		select {
		case now := <-ticks.C:
			s.cut(now)
		case <-ctx.Done():
			return
		}
	}
}

func (s *Server) serverOptions(addr net.Addr) ([]grpc.ServerOption, error) {
	creds, err := s.options.credentials(addr)
	if err != nil {
		return nil, err
	}
	return []grpc.ServerOption{
		grpc.Creds(creds),
		grpc.ForceServerCodecV2(newCodec(&s.options)),
		grpc.MaxConcurrentStreams(s.options.MaxStreams),
		grpc.MaxRecvMsgSize(s.options.MaxMessage),
		grpc.MaxHeaderListSize(16 << 10),
		grpc.ConnectionTimeout(10 * time.Second),
		// An idle connection should cost little.
		grpc.ReadBufferSize(4 << 10),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: 30 * time.Second, Timeout: 10 * time.Second,
			MaxConnectionAge: s.options.MaxAge, MaxConnectionAgeGrace: s.options.AgeGrace}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime: 10 * time.Second, PermitWithoutStream: true}),
	}, nil
}

// Ready reports whether the server serves a state.
func (s *Server) Ready() bool { return s.stated.Load() && s.serving.Load() > 0 }
