package xds

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// stream is one stream of a proxy. The goroutine of its RPC waits for its end,
// another reads; a third one exists while there is something to send. What
// follows the blank line belongs to the lock of the Server.
type stream struct {
	rpc  grpc.ServerStream
	sotw bool
	peer string        // the SPIFFE ID in its certificate; empty in plaintext
	done chan struct{} // closed when it is to end

	err      error // why it ends; valid when done is closed
	ended    bool
	node     string
	role     role
	since    time.Time
	schedule *schedule // nil until it is known who it is, and after the end
	touched  bool      // by the changes that are being made
	sending  time.Time // since when the sender is at it; zero if there is none
	wave     bool      // the sender counts among Server.wave
	timer    *time.Timer

	acks, nacks uint64
	lastNack    *Nack
	refused     []refusal // the oldest first
	unsaid      bool      // more was refused than there was room for
}

// ads answers the two methods of the service on one listener.
type ads struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer
	server  *Server
	context context.Context // ends with Serve
}

// StreamAggregatedResources implements the state-of-the-world protocol.
func (a *ads) StreamAggregatedResources(rpc discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return a.run(rpc, true)
}

// DeltaAggregatedResources implements the incremental protocol.
func (a *ads) DeltaAggregatedResources(rpc discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	return a.run(rpc, false)
}

func (a *ads) run(rpc grpc.ServerStream, sotw bool) error {
	peer, err := peerIdentity(rpc.Context())
	if err != nil {
		return status.Error(codes.Unauthenticated, err.Error())
	}
	st := &stream{rpc: rpc, sotw: sotw, peer: peer, done: make(chan struct{}), since: time.Now()}
	if err := a.server.open(st); err != nil {
		return err
	}
	defer a.server.close(st)
	go a.server.read(st)
	select {
	case <-st.done:
		return st.err
	case <-a.context.Done():
		return nil
	}
}

// open counts a stream, close forgets it.
func (s *Server) open(st *stream) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.streams) >= s.options.MaxTotalStreams {
		return exceeded("there are %d streams, and at most so many", len(s.streams))
	}
	s.streams[st] = struct{}{}
	return nil
}

func (s *Server) close(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, st)
	s.end(st, nil)
	if st.timer != nil {
		st.timer.Stop()
	}
	if c := st.schedule; c != nil {
		s.news()
		st.schedule = nil
		c.quit()
		if c.joined {
			c.store.leave(c.slot)
		}
	}
}

// end lets a stream end, for the first reason that is given.
func (s *Server) end(st *stream, err error) {
	if !st.ended {
		st.ended, st.err = true, err
		close(st.done)
	}
}

// read takes requests until the stream ends.
func (s *Server) read(st *stream) {
	err := s.requests(st)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(st, err)
}

func (s *Server) requests(st *stream) error {
	allowed := newBucket(s.options.RequestRate, time.Now())
	for {
		q := newRequest(st.sotw)
		err := st.rpc.RecvMsg(q)
		if err == nil {
			err = cmp.Or(q.refused, allowed.take(time.Now()))
		}
		if err == nil {
			err = s.request(st, q)
		}
		if err != nil {
			return err
		}
	}
}

// request takes a request as soon as there is something to say: until then a proxy
// keeps what it has.
func (s *Server) request(st *stream, q *request) error {
	ready, err := s.admit(st, q.node())
	if err != nil {
		return err
	}
	select {
	case <-ready:
		return s.take(st, q)
	case <-st.done:
		return io.EOF
	case <-st.rpc.Context().Done():
		return st.rpc.Context().Err()
	}
}

// admit learns from a request who is at the other end of a stream, which cannot
// change while the stream lives. What it returns is closed when there is
// something for it.
func (s *Server) admit(st *stream, node *corev3.Node) (<-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := st.schedule != nil
	switch {
	case st.ended:
		return nil, io.EOF
	case node == nil && known:
		return st.schedule.store.ready, nil
	case node == nil:
		return nil, status.Error(codes.InvalidArgument, "the first request of a stream must name its node")
	}
	if err := s.options.checkNode(node); err != nil {
		return nil, err
	}
	r, err := identify(node)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if known {
		if st.role != r || st.node != node.GetId() {
			return nil, status.Error(codes.PermissionDenied, "a node cannot become another on the same stream")
		}
		return st.schedule.store.ready, nil
	}
	if want := r.identity().URI(s.options.TrustDomain); st.peer != "" && st.peer != want {
		return nil, status.Error(codes.PermissionDenied, fmt.Sprintf("the certificate is of %s, not of %s", st.peer, want))
	}
	st.node, st.role = node.GetId(), r
	c := &schedule{options: &s.options, store: s.store(r.backend), who: r.identity(), sotw: st.sotw}
	_, _ = rand.Read(c.salt[:]) // it never fails
	st.schedule = c
	s.news()
	return c.store.ready, nil
}

// take does what a request says.
func (s *Server) take(st *stream, q *request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := st.schedule
	if c == nil || st.ended {
		return nil
	}
	if !c.joined { // in the order in which they subscribe: a set of slots is added to at its end
		c.slot, c.joined = c.store.join(st), true
	}
	said, err := c.asks(q, time.Now())
	s.book(st, said)
	s.news()
	if err == nil {
		s.kick(st, false)
	}
	return err
}

// kick lets a stream send what there is to send.
func (s *Server) kick(st *stream, wave bool) {
	if st.ended || st.schedule == nil || !st.sending.IsZero() || st.schedule.quiet() {
		return
	}
	st.sending = time.Now()
	if wave {
		st.wave = true
		s.wave++
	}
	go s.send(st)
}

// send sends until there is nothing to send.
func (s *Server) send(st *stream) {
	for {
		r := s.turn(st)
		if r == nil {
			return
		}
		if err := st.rpc.SendMsg(r); err != nil {
			s.mu.Lock()
			s.end(st, err)
			s.mu.Unlock()
		}
	}
}

// turn is what the sender of a stream is to send next; nil ends it.
func (s *Server) turn(st *stream) *response {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.schedule != nil && !st.ended {
		now := time.Now()
		r, wait := st.schedule.next(now)
		if r != nil {
			st.sending = now
			s.packs.share(r, now)
			s.total.Pushes++
			s.total.Bytes += uint64(r.size())
			return r
		}
		if wait > 0 {
			s.wake(st, wait)
		}
	}
	st.sending = time.Time{}
	if st.inSync() { // it may have what changed already
		s.news()
	}
	if st.wave {
		st.wave = false
		s.ebb()
	}
	return nil
}

// wake looks after a stream again after a while.
func (s *Server) wake(st *stream, wait time.Duration) {
	if st.timer != nil {
		st.timer.Reset(wait)
		return
	}
	st.timer = time.AfterFunc(wait, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.kick(st, false)
	})
}

// cut ends the streams whose clients do not read, and lets go of what is not needed.
func (s *Server) cut(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.packs.expire(now)
	for st := range s.streams {
		if st.schedule != nil {
			st.schedule.expire(now)
		}
		if !st.sending.IsZero() && now.Sub(st.sending) > s.options.SendTimeout {
			s.end(st, status.Errorf(codes.DeadlineExceeded, "nothing was read for %s", s.options.SendTimeout))
		}
	}
}
