package xds

import (
	"context"
	"fmt"
	"sync"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// session follows the streams of one listener.
type session struct {
	serverv3.CallbackFuncs // for what is not implemented here: fetching
	server                 *Server

	mu      sync.Mutex
	streams map[streamID]*stream
}

// streamID tells streams apart: the two protocols count separately.
type streamID struct {
	delta bool
	n     int64
}

func newSession(s *Server) *session {
	return &session{server: s, streams: map[streamID]*stream{}}
}

func (s *session) open(ctx context.Context, id streamID) error {
	peer, err := peerIdentity(ctx)
	if err != nil {
		return status.Error(codes.Unauthenticated, err.Error())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams[id] = newStream(id.delta, peer)
	return nil
}

func (s *session) get(id streamID) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams[id]
}

func (s *session) closed(id streamID) {
	s.mu.Lock()
	st := s.streams[id]
	delete(s.streams, id)
	s.mu.Unlock()
	if st == nil || st.role == (role{}) {
		return // turned away before it had a role
	}
	s.server.journal.remove(st)
	s.server.leave(st.role)
}

// admit learns from a request who is at the other end of a stream. Who it is
// cannot change while the stream lives.
func (s *session) admit(st *stream, node *corev3.Node) error {
	if node == nil {
		if st.role == (role{}) {
			return status.Error(codes.InvalidArgument, "the first request of a stream must name its node")
		}
		return nil
	}
	r, err := identify(node)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	if st.role == r {
		return nil
	}
	if st.role != (role{}) {
		return status.Error(codes.PermissionDenied, "a node cannot become another on the same stream")
	}
	if want := r.identity().URI(s.server.options.TrustDomain); st.peer != "" && st.peer != want {
		return status.Error(codes.PermissionDenied, fmt.Sprintf("the certificate is of %s, not of %s", st.peer, want))
	}
	if err := s.server.join(r); err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	st.node, st.role = node.GetId(), r
	s.server.journal.add(st)
	return nil
}

// OnStreamOpen implements serverv3.Callbacks.
func (s *session) OnStreamOpen(ctx context.Context, id int64, _ string) error {
	return s.open(ctx, streamID{n: id})
}

// OnDeltaStreamOpen implements serverv3.Callbacks.
func (s *session) OnDeltaStreamOpen(ctx context.Context, id int64, _ string) error {
	return s.open(ctx, streamID{delta: true, n: id})
}

// OnStreamClosed implements serverv3.Callbacks.
func (s *session) OnStreamClosed(id int64, _ *corev3.Node) { s.closed(streamID{n: id}) }

// OnDeltaStreamClosed implements serverv3.Callbacks.
func (s *session) OnDeltaStreamClosed(id int64, _ *corev3.Node) {
	s.closed(streamID{delta: true, n: id})
}

// OnStreamRequest implements serverv3.Callbacks. After a refusal the version
// refused is noted as known: the cache would send it again at once, and so on
// for ever.
func (s *session) OnStreamRequest(id int64, q *discoveryv3.DiscoveryRequest) error {
	st := s.get(streamID{n: id})
	if err := s.admit(st, q.GetNode()); err != nil {
		return err
	}
	version := s.server.settle(st, q.GetTypeUrl(), q.GetResponseNonce(), q.GetErrorDetail())
	if q.GetErrorDetail() != nil && version != "" {
		q.VersionInfo = version
	}
	return nil
}

// OnStreamDeltaRequest implements serverv3.Callbacks.
func (s *session) OnStreamDeltaRequest(id int64, q *discoveryv3.DeltaDiscoveryRequest) error {
	st := s.get(streamID{delta: true, n: id})
	if err := s.admit(st, q.GetNode()); err != nil {
		return err
	}
	s.server.settle(st, q.GetTypeUrl(), q.GetResponseNonce(), q.GetErrorDetail())
	return nil
}

// OnStreamResponse implements serverv3.Callbacks.
func (s *session) OnStreamResponse(_ context.Context, id int64, _ *discoveryv3.DiscoveryRequest, p *discoveryv3.DiscoveryResponse) {
	s.server.journal.sent(s.get(streamID{n: id}), p.GetTypeUrl(), p.GetNonce(), p.GetVersionInfo(), proto.Size(p))
}

// OnStreamDeltaResponse implements serverv3.Callbacks.
func (s *session) OnStreamDeltaResponse(id int64, _ *discoveryv3.DeltaDiscoveryRequest, p *discoveryv3.DeltaDiscoveryResponse) {
	s.server.journal.sent(s.get(streamID{delta: true, n: id}), p.GetTypeUrl(), p.GetNonce(), p.GetSystemVersionInfo(), proto.Size(p))
}
