package xds

import (
	"context"
	"io"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// csds answers what proxies have (envoy.service.status.v3). With a certificate
// one is told of its own role; in plaintext, which is for loopback, of everybody.
type csds struct {
	statusv3.UnimplementedClientStatusDiscoveryServiceServer
	server  *Server
	local   bool
	context context.Context // ends with Serve
}

// StreamClientStatus implements the streaming method.
func (d *csds) StreamClientStatus(rpc statusv3.ClientStatusDiscoveryService_StreamClientStatusServer) error {
	for d.context.Err() == nil {
		q, err := rpc.Recv()
		if err == io.EOF { //nolint:errorlint // gRPC never wraps it
			return nil
		}
		if err != nil {
			return err
		}
		p, err := d.FetchClientStatus(rpc.Context(), q)
		if err != nil {
			return err
		}
		if err := rpc.Send(p); err != nil {
			return err
		}
	}
	return nil
}

// FetchClientStatus implements the unary method.
func (d *csds) FetchClientStatus(ctx context.Context, q *statusv3.ClientStatusRequest) (*statusv3.ClientStatusResponse, error) {
	peer, err := peerIdentity(ctx)
	if err != nil {
		return nil, status.Error(codes.Unauthenticated, err.Error())
	}
	if peer == "" && !d.local {
		return nil, status.Error(codes.PermissionDenied, "without a certificate, the status of clients is for loopback only")
	}
	for _, m := range q.GetNodeMatchers() {
		if len(m.GetNodeMetadatas()) > 0 || m.GetNodeId() != nil && m.GetNodeId().GetExact() == "" && m.GetNodeId().GetPrefix() == "" {
			return nil, status.Error(codes.InvalidArgument, "nodes are matched by their ID, exactly or by prefix")
		}
	}
	out := &statusv3.ClientStatusResponse{}
	s := d.server
	s.mu.Lock()
	defer s.mu.Unlock()
	for st := range s.streams {
		if st.schedule == nil || !asked(q.GetNodeMatchers(), st.node) {
			continue
		}
		if peer == "" || peer == st.role.identity().URI(s.options.TrustDomain) {
			out.Config = append(out.Config, st.clientConfig())
		}
	}
	slices.SortFunc(out.Config, func(a, b *statusv3.ClientConfig) int {
		return strings.Compare(a.GetNode().GetId(), b.GetNode().GetId())
	})
	return out, nil
}

// asked reports whether matchers, if any, mean a node.
func asked(matchers []*matcherv3.NodeMatcher, node string) bool {
	return len(matchers) == 0 || slices.ContainsFunc(matchers, func(m *matcherv3.NodeMatcher) bool {
		id := m.GetNodeId()
		return id == nil || id.GetExact() == node || id.GetPrefix() != "" && strings.HasPrefix(node, id.GetPrefix())
	})
}

// clientConfig is what a stream was sent. Its resources are those of now; their
// status says whether the client has them.
func (st *stream) clientConfig() *statusv3.ClientConfig {
	out := &statusv3.ClientConfig{Node: &corev3.Node{Id: st.node}}
	for _, sub := range st.schedule.subs {
		if sub != nil {
			out.GenericXdsConfigs = append(out.GenericXdsConfigs, st.schedule.configs(sub)...)
		}
	}
	return out
}

// configs is what a client has of a kind.
func (c *schedule) configs(sub *subscription) []*statusv3.ClientConfig_GenericXdsConfig {
	var out []*statusv3.ClientConfig_GenericXdsConfig
	shelf := &c.store.kinds[sub.kind]
	add := func(id uint32, r *resource) {
		if r == nil {
			return
		}
		g := &statusv3.ClientConfig_GenericXdsConfig{TypeUrl: sub.kind.url(), Name: r.name, VersionInfo: r.version}
		g.ConfigStatus = statusv3.ConfigStatus_SYNCED
		_, pending := sub.pending[id]
		_, refused := sub.refused[id]
		switch {
		case refused:
			g.ConfigStatus = statusv3.ConfigStatus_ERROR
		case pending, contains(sub.fresh, id):
			g.ConfigStatus = statusv3.ConfigStatus_NOT_SENT
		case slices.ContainsFunc(sub.flights, func(f *flight) bool { return f.has(id) }):
			g.ConfigStatus = statusv3.ConfigStatus_STALE
		}
		out = append(out, g)
	}
	ids := sub.ids
	if sub.wildcard {
		ids = shelf.all(c.who)
	}
	for _, id := range ids {
		add(id, shelf.view(id, c.who))
	}
	slices.SortFunc(out, func(a, b *statusv3.ClientConfig_GenericXdsConfig) int { return strings.Compare(a.Name, b.Name) })
	return out
}
