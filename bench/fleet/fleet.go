// Package fleet is the clients of a benchmark: many delta streams in one process,
// each on a TCP connection of its own. A client parses no more than it needs to
// know what it got, accepts every response, and is the same for every server.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshknot/meshknot/bench/world"
)

// Ask is a first request for a type: all there is, or names.
type Ask struct {
	Type  string
	Names []string
	// Has are the versions that the client has from before, by name.
	Has map[string]string
	// After is how many resources must have come before the request is sent.
	After int
}

// Fleet is clients of one server.
type Fleet struct {
	addr  string
	asks  []Ask
	first [][]byte // the asks, encoded, without a node
	goal  atomic.Pointer[Goal]
	read  atomic.Int64

	mu       sync.Mutex
	clients  []*client
	failed   error
	versions map[string]map[string]string // of client 0, by type and name
}

type client struct {
	id     int
	conn   *grpc.ClientConn
	stream grpc.ClientStream
	end    context.CancelFunc
	ended  chan struct{}
	asked  int
}

// New makes a fleet without clients. They ask in the order of asks.
func New(addr string, asks []Ask) (*Fleet, error) {
	f := &Fleet{addr: addr, asks: asks, versions: map[string]map[string]string{}}
	for _, a := range asks {
		b, err := proto.Marshal(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: a.Type, ResourceNamesSubscribe: a.Names, InitialResourceVersions: a.Has})
		if err != nil {
			return nil, fmt.Errorf("encoding a request for %s: %w", a.Type, err)
		}
		f.first = append(f.first, b)
		f.versions[a.Type] = map[string]string{}
	}
	return f, nil
}

// Expect sets what every client is to receive from now on. Its time begins.
func (f *Fleet) Expect(count int, sum uint64) *Goal {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := newGoal(0, len(f.clients), count, sum)
	f.goal.Store(g)
	return g
}

// Add connects more clients, all at once, and returns what they are to receive:
// count resources. The goal's time begins before the first connects, and speaks of
// the new clients alone.
func (f *Fleet) Add(ctx context.Context, n, count int, sum uint64) (*Goal, error) {
	f.mu.Lock()
	from := len(f.clients)
	g := newGoal(from, from+n, count, sum)
	f.goal.Store(g)
	added := make([]*client, n)
	for i := range n {
		added[i] = &client{id: from + i, ended: make(chan struct{})}
	}
	f.clients = append(f.clients, added...)
	f.mu.Unlock()

	var wg sync.WaitGroup
	errs := make([]error, n)
	for i, c := range added {
		wg.Go(func() { errs[i] = f.connect(ctx, c) })
	}
	wg.Wait()
	return g, errors.Join(errs...)
}

// count counts the bytes that come in.
type counting struct {
	net.Conn
	read *atomic.Int64
}

func (c counting) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read.Add(int64(n))
	return n, err
}

func (f *Fleet) dial(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("dialling %s: %w", addr, err)
	}
	return counting{conn, &f.read}, nil
}

var deltaStream = grpc.StreamDesc{StreamName: "DeltaAggregatedResources", ServerStreams: true, ClientStreams: true}

// Method is the gRPC method that clients call.
const Method = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"

func (f *Fleet) connect(ctx context.Context, c *client) error {
	conn, err := grpc.NewClient("passthrough:///"+f.addr, grpc.WithContextDialer(f.dial),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(Raw{}), grpc.MaxCallRecvMsgSize(64<<20), grpc.WaitForReady(true)))
	if err != nil {
		return fmt.Errorf("making client %d: %w", c.id, err)
	}
	c.conn = conn
	ctx, c.end = context.WithCancel(context.WithoutCancel(ctx))
	if c.stream, err = conn.NewStream(ctx, &deltaStream, Method); err != nil {
		return fmt.Errorf("opening the stream of client %d: %w", c.id, err)
	}
	node, err := Node(c.id)
	if err != nil {
		return err
	}
	if err := f.ask(c, node); err != nil {
		return err
	}
	go f.follow(c)
	return nil
}

// Node is the part of a first request that says who asks: a sidecar of one
// account, so that all clients are meant to get the same.
func Node(id int) ([]byte, error) {
	meta, err := structpb.NewStruct(map[string]any{"backend": "envoy", "namespace": "shop", "account": "web"})
	if err != nil {
		return nil, fmt.Errorf("describing a node: %w", err)
	}
	b, err := proto.Marshal(&discoveryv3.DeltaDiscoveryRequest{Node: &corev3.Node{Id: fmt.Sprintf("sidecar~shop/web~%05d", id), Cluster: "bench", Metadata: meta}})
	if err != nil {
		return nil, fmt.Errorf("encoding a node: %w", err)
	}
	return b, nil
}

// ask sends the requests that are due.
func (f *Fleet) ask(c *client, node []byte) error {
	for c.asked < len(f.asks) && int64(f.asks[c.asked].After) <= f.goal.Load().clients[c.id].count.Load() {
		b := f.first[c.asked]
		if c.asked == 0 {
			b = append(node, b...)
		}
		c.asked++
		if err := c.stream.SendMsg(b); err != nil {
			return fmt.Errorf("asking as client %d: %w", c.id, err)
		}
	}
	return nil
}

// follow accepts what comes until the stream ends.
func (f *Fleet) follow(c *client) {
	defer close(c.ended)
	for {
		var b mem.Buffer
		if err := c.stream.RecvMsg(&b); err != nil {
			f.fail(fmt.Errorf("client %d: %w", c.id, err))
			return
		}
		err := f.accept(c, b.ReadOnlyData())
		b.Free()
		if err != nil {
			f.fail(err)
			return
		}
	}
}

func (f *Fleet) accept(c *client, b []byte) error {
	g := f.goal.Load()
	p := &g.clients[c.id]
	before := p.count.Load()
	received := p.received
	if c.id == 0 {
		received = f.remember(p, b)
	}
	r, err := parse(b, received)
	if err != nil {
		return err
	}
	p.removed.Add(int64(r.removed))
	if err := c.stream.SendMsg(ack(r)); err != nil {
		return fmt.Errorf("accepting as client %d: %w", c.id, err)
	}
	g.acked(c.id, before)
	return f.ask(c, nil)
}

// remember has client 0 note names and versions too.
func (f *Fleet) remember(p *progress, b []byte) func(name, version, body []byte) {
	r, _ := parse(b, func(_, _, _ []byte) {})
	f.mu.Lock()
	defer f.mu.Unlock()
	of := f.versions[string(r.typeURL)]
	return func(name, version, body []byte) {
		p.received(name, version, body)
		f.mu.Lock()
		defer f.mu.Unlock()
		if of != nil {
			of[string(name)] = string(version)
		}
	}
}

// Versions that the clients know a type's resources by.
func (f *Fleet) Versions(typeURL string) map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.versions[typeURL]
}

// fail keeps the first failure of a stream.
func (f *Fleet) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed == nil {
		f.failed = err
	}
}

// Err is the first failure of a client, if there was one.
func (f *Fleet) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

// Read is the number of bytes that came in so far, all framing included.
func (f *Fleet) Read() int64 { return f.read.Load() }

// Quiet waits until nothing has come in for a while.
func (f *Fleet) Quiet(ctx context.Context, while time.Duration) error {
	for last := int64(-1); last != f.Read(); {
		last = f.Read()
		select {
		case <-time.After(while):
		case <-ctx.Done():
			return fmt.Errorf("the server does not stop sending: %w", ctx.Err())
		}
	}
	return nil
}

// Close ends all streams and connections.
func (f *Fleet) Close() {
	f.mu.Lock()
	clients := f.clients
	f.mu.Unlock()
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() {
			if c.end != nil {
				c.end()
			}
			if c.stream != nil {
				<-c.ended
			}
			if c.conn != nil {
				_ = c.conn.Close() // the streams have ended: nothing is lost
			}
		})
	}
	wg.Wait()
}

// World asks for all clusters and then, as proxies do, for the endpoints of each.
func World(w world.World) []Ask {
	return []Ask{{Type: world.ClusterType}, {Type: world.EndpointType, Names: w.Names(world.EndpointType), After: w.Clusters}}
}

// Endpoints asks for all endpoints by name, and for nothing else.
func Endpoints(w world.World) []Ask {
	return []Ask{{Type: world.EndpointType, Names: w.Names(world.EndpointType)}}
}
