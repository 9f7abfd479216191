package server

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshknot/meshknot/bench/fleet"
	"github.com/meshknot/meshknot/bench/world"
)

// floor writes bytes that were encoded before to gRPC streams, and reads what
// comes back without a look at it: no server on grpc-go can do less.
type floor struct {
	full map[string][]byte // a type's whole state, by type URL

	mu      sync.Mutex // guards streams
	streams map[chan []byte]struct{}
}

func newFloor() Server {
	return &floor{full: map[string][]byte{}, streams: map[chan []byte]struct{}{}}
}

// Load implements Server.
func (f *floor) Load(w world.World) error {
	byType := map[string][]world.Resource{}
	for _, r := range w.Resources() {
		byType[r.Type] = append(byType[r.Type], r)
	}
	for t, all := range byType {
		b, err := encode(t, all)
		if err != nil {
			return err
		}
		f.full[t] = b
	}
	return nil
}

// encode makes a response, with versions of eight bytes in hexadecimal.
func encode(typeURL string, all []world.Resource) ([]byte, error) {
	out := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: typeURL, Nonce: "1", SystemVersionInfo: "1"}
	for i, r := range all {
		body, err := proto.MarshalOptions{Deterministic: true}.Marshal(r.Message)
		if err != nil {
			return nil, fmt.Errorf("encoding %s: %w", r.Name, err)
		}
		out.Resources = append(out.Resources, &discoveryv3.Resource{Name: r.Name, Version: fmt.Sprintf("%016x", i),
			Resource: &anypb.Any{TypeUrl: typeURL, Value: body}})
	}
	b, err := proto.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encoding a response: %w", err)
	}
	return b, nil
}

// Change implements Server.
func (f *floor) Change(c world.Change) error {
	b, err := encode(c.Type, []world.Resource{c.Resource()})
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for mailbox := range f.streams {
		mailbox <- b
	}
	return nil
}

// Serve implements Server.
func (f *floor) Serve(ctx context.Context, lis net.Listener) error {
	g := grpc.NewServer(grpc.ForceServerCodecV2(fleet.Raw{}))
	g.RegisterService(&grpc.ServiceDesc{ServiceName: "envoy.service.discovery.v3.AggregatedDiscoveryService", HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{StreamName: "DeltaAggregatedResources", Handler: f.stream, ServerStreams: true, ClientStreams: true}}}, f)
	return serve(ctx, g, lis)
}

// stream sends what its mailbox gets. A second goroutine reads: a first request
// gets the whole state of its type, which no later request is taken for, because
// what accepts a response is short.
func (f *floor) stream(_ any, s grpc.ServerStream) error {
	mailbox := make(chan []byte, 4)
	f.mu.Lock()
	f.streams[mailbox] = struct{}{}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.streams, mailbox)
		f.mu.Unlock()
	}()
	go f.read(s, mailbox)
	for {
		select {
		case b := <-mailbox:
			if err := s.SendMsg(b); err != nil {
				return err
			}
		case <-s.Context().Done():
			return nil
		}
	}
}

// read learns the type of a request by looking for it. A request that accepts a
// response has its type first and then its nonce, "1", and nothing else.
func (f *floor) read(s grpc.ServerStream, mailbox chan<- []byte) {
	asked := map[string]bool{}
	for {
		var b mem.Buffer
		if s.RecvMsg(&b) != nil {
			return
		}
		for t, full := range f.full {
			if len(asked) < len(f.full) && !asked[t] && bytes.Contains(b.ReadOnlyData(), []byte(t)) {
				asked[t] = true
				mailbox <- full
			}
		}
		b.Free()
	}
}
