package xds

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	rs "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
)

// What is put together of frames is what protobuf would have encoded.
func TestFramesAreResponses(t *testing.T) {
	made, err := encode(artifact(rs.RouteType, "r", "text", ir.Audience{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, packs := range []bool{false, true} {
		r := &response{kind: routes, version: "v", nonce: "n", items: []item{{1, made}, {2, made}}, removed: []string{"x", "y"}}
		whole := &response{kind: routes, sotw: true, version: "v", nonce: "n", items: r.items}
		if packs {
			r.packed = mem.SliceBuffer(append(append([]byte{}, made.delta.ReadOnlyData()...), made.delta.ReadOnlyData()...))
		}
		var delta discoveryv3.DeltaDiscoveryResponse
		var state discoveryv3.DiscoveryResponse
		for _, into := range []struct {
			r *response
			m proto.Message
		}{{r, &delta}, {whole, &state}} {
			b, err := newCodec(&Options{}).Marshal(into.r)
			if err != nil {
				t.Fatal(err)
			}
			if err := proto.Unmarshal(b.Materialize(), into.m); err != nil || len(into.m.ProtoReflect().GetUnknown()) > 0 {
				t.Fatal(err)
			}
		}
		content := artifact(rs.RouteType, "r", "text", ir.Audience{}).Payload.(*routev3.RouteConfiguration)
		if delta.GetSystemVersionInfo() != "v" || delta.GetNonce() != "n" || delta.GetTypeUrl() != rs.RouteType ||
			fmt.Sprint(delta.GetRemovedResources()) != "[x y]" || len(delta.GetResources()) != 2 {
			t.Errorf("got %v", &delta)
		}
		if state.GetVersionInfo() != "v" || state.GetNonce() != "n" || state.GetTypeUrl() != rs.RouteType || len(state.GetResources()) != 2 {
			t.Errorf("got %v", &state)
		}
		for i, res := range delta.GetResources() {
			m, err := res.GetResource().UnmarshalNew()
			if err != nil || !proto.Equal(m, content) || res.GetName() != "r" || res.GetVersion() != made.version || len(made.version) != 11 {
				t.Errorf("got %v, %v", res, err)
			}
			if !proto.Equal(res.GetResource(), state.GetResources()[i]) {
				t.Errorf("the two protocols differ: %v", state.GetResources()[i])
			}
		}
	}
}

// Equal large responses share one piece, from the second one on.
func TestPacks(t *testing.T) {
	p := packs{byContent: map[uint64]*pack{}}
	now := time.Unix(1000, 0)
	answer := func(version string) *response {
		r := &response{kind: routes, flight: &flight{}}
		for i := range uint32(packed) {
			made, err := encode(artifact(rs.RouteType, fmt.Sprint(i), version, ir.Audience{}))
			if err != nil {
				t.Fatal(err)
			}
			r.items = append(r.items, item{i, made})
		}
		return r
	}
	one := answer("1")
	again := func() *response {
		return &response{kind: routes, items: append([]item{}, one.items...), flight: &flight{cargo: marks(one.items)}}
	}
	first, second, third := again(), again(), again()
	p.share(first, now)
	for _, have := range p.byContent {
		if have.items != nil || have.cost() != 0 {
			t.Error("what one client alone got is kept")
		}
	}
	p.share(second, now)
	p.share(third, now)
	if first.packed != nil || second.packed == nil || third.packed == nil || &third.items[0] != &second.items[0] ||
		&third.flight.cargo[0] != &second.flight.cargo[0] {
		t.Error("what is equal is not shared")
	}
	for _, r := range []*response{second, third} {
		if got, want := string(r.frames().Materialize()), string(first.frames().Materialize()); got != want {
			t.Error("the piece differs from its parts")
		}
	}
	other := answer("2")
	if p.share(other, now); other.packed != nil {
		t.Error("what differs is shared")
	}
	if p.expire(now.Add(time.Hour)); len(p.byContent) > 0 || p.bytes != 0 {
		t.Errorf("%d bytes are kept", p.bytes)
	}
}

func TestLimits(t *testing.T) {
	many := func(n int) []string {
		var out []string
		for i := range n {
			out = append(out, fmt.Sprintf("unknown-%06d", i))
		}
		return out
	}
	first := func(q *discoveryv3.DeltaDiscoveryRequest) *discoveryv3.DeltaDiscoveryRequest {
		q.Node, q.TypeUrl = node("sidecar~shop/web"), rs.EndpointType
		return q
	}
	for _, tt := range []struct {
		name    string
		options Options
		ask     []*discoveryv3.DeltaDiscoveryRequest
		want    string // none: it is served
	}{
		{"as many names as may be", Options{MaxNames: 100}, []*discoveryv3.DeltaDiscoveryRequest{first(&discoveryv3.DeltaDiscoveryRequest{ResourceNamesSubscribe: many(100)})}, ""},
		{"a name more at once", Options{MaxNames: 100}, []*discoveryv3.DeltaDiscoveryRequest{first(&discoveryv3.DeltaDiscoveryRequest{ResourceNamesSubscribe: many(101)})}, "101 names"},
		{"a name more in two", Options{MaxNames: 100}, []*discoveryv3.DeltaDiscoveryRequest{first(&discoveryv3.DeltaDiscoveryRequest{ResourceNamesSubscribe: many(100)}),
			{TypeUrl: rs.EndpointType, ResourceNamesSubscribe: []string{"one"}}}, "101 names"},
		{"a long name", Options{MaxNameLength: 10}, []*discoveryv3.DeltaDiscoveryRequest{first(&discoveryv3.DeltaDiscoveryRequest{ResourceNamesSubscribe: []string{"01234567890"}})}, "11 bytes"},
		{"unknown names", Options{MaxUnknown: 10_000}, []*discoveryv3.DeltaDiscoveryRequest{first(&discoveryv3.DeltaDiscoveryRequest{ResourceNamesSubscribe: many(100)})}, "not known"},
		{"a large node", Options{MaxNode: 1000}, []*discoveryv3.DeltaDiscoveryRequest{{TypeUrl: rs.ClusterType,
			Node: &corev3.Node{Id: "sidecar~shop/web", UserAgentName: strings.Repeat("x", 1000)}}}, "the node"},
		{"haste", Options{RequestRate: 1}, func() (out []*discoveryv3.DeltaDiscoveryRequest) {
			for range burst + 1 {
				out = append(out, first(&discoveryv3.DeltaDiscoveryRequest{}))
			}
			return out
		}(), "a second"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, addr := start(t, tt.options)
			if err := s.Update(envoyState()); err != nil {
				t.Fatal(err)
			}
			good := plain(t, addr).hello("sidecar~shop/good")
			good.ack(good.next())
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			stream, err := dial(t, addr, insecure.NewCredentials()).DeltaAggregatedResources(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range tt.ask {
				if err := stream.Send(q); err != nil && err != io.EOF { //nolint:errorlint // gRPC never wraps it
					t.Fatal(err)
				}
			}
			for err = nil; err == nil; {
				var p *discoveryv3.DeltaDiscoveryResponse
				if p, err = stream.Recv(); tt.want == "" {
					if err != nil || len(p.GetRemovedResources()) != 100 {
						t.Errorf("got %v, %v", p, err)
					}
					break
				}
			}
			if tt.want != "" && (status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if err := s.Update(envoyState(artifact(rs.ClusterType, "c", "", ir.Audience{}))); err != nil {
				t.Fatal(err)
			}
			good.next() // it is not affected
		})
	}
}

func TestStreamsAreBounded(t *testing.T) {
	s, addr := start(t, Options{MaxTotalStreams: 1})
	if err := s.Update(envoyState()); err != nil {
		t.Fatal(err)
	}
	a := plain(t, addr).hello("sidecar~shop/web")
	a.next()
	if err := plain(t, addr).hello("sidecar~shop/web").failure(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a second stream: %v", err)
	}
	_ = a.stream.CloseSend()
	eventually(t, "room again", func() bool { return len(s.Status().Nodes) == 0 })
	plain(t, addr).hello("sidecar~shop/web").next()
}

// A client that does not read is cut, and is in nobody's way before.
func TestAClientThatDoesNotReadIsCut(t *testing.T) {
	s, addr := start(t, Options{SendTimeout: 300 * time.Millisecond, ChunkBytes: 64 << 10})
	var all []translators.Artifact
	for i := range 40 {
		all = append(all, artifact(rs.ClusterType, fmt.Sprint("c", i), strings.Repeat("x", 60<<10), ir.Audience{}))
	}
	if err := s.Update(envoyState(all...)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	mute, err := dial(t, addr, insecure.NewCredentials()).DeltaAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := mute.Send(&discoveryv3.DeltaDiscoveryRequest{Node: node("sidecar~shop/mute"), TypeUrl: rs.ClusterType}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the mute one", func() bool { return len(s.Status().Nodes) == 1 })
	good := plain(t, addr)
	good.ask(node("sidecar~shop/good"), rs.ListenerType)
	good.ack(good.next())
	for i := range 5 {
		if err := s.Apply([]translators.Change{{Target: translators.Target{Backend: backendEnvoy}, Put: []translators.Artifact{artifact(rs.ListenerType, "l", fmt.Sprint(i), ir.Audience{})}}}); err != nil {
			t.Fatal(err)
		}
		good.ack(good.next())
	}
	eventually(t, "the mute one gone", func() bool { n := s.Status().Nodes; return len(n) == 1 && n[0].Node == "sidecar~shop/good" })
	for err = nil; err == nil; {
		_, err = mute.Recv()
	}
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("it ended with %v", err)
	}
}

func TestClientStatus(t *testing.T) {
	authority := newCA(t)
	own := issue(t, authority, "spiffe://cluster.local/ns/mesh/sa/meshknot")
	secure, secureAddr := start(t, Options{TLS: &TLSFiles{own.Cert, own.Key, own.CA}})
	open, openAddr := start(t, Options{})
	for _, s := range []*Server{secure, open} {
		if err := s.Update(envoyState(artifact(rs.ClusterType, "good", "", ir.Audience{}), artifact(rs.ClusterType, "bad", "", ir.Audience{}))); err != nil {
			t.Fatal(err)
		}
	}
	web := clientTLS(t, issue(t, authority, "spiffe://cluster.local/ns/shop/sa/web"))
	cart := clientTLS(t, issue(t, authority, "spiffe://cluster.local/ns/shop/sa/cart"))
	connect(t, secureAddr, web).hello("sidecar~shop/web").next()
	connect(t, secureAddr, cart).hello("sidecar~shop/cart").next()
	c := plain(t, openAddr).hello("sidecar~shop/web")
	c.ack(c.next())
	eventually(t, "accepted", func() bool { return open.Status().Acks == 1 })
	ask := func(addr string, opt grpc.DialOption) *statusv3.ClientStatusResponse {
		t.Helper()
		conn, err := grpc.NewClient(addr, opt)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		p, err := statusv3.NewClientStatusDiscoveryServiceClient(conn).FetchClientStatus(context.Background(), &statusv3.ClientStatusRequest{})
		if err != nil {
			t.Fatal(err)
		}
		h, err := healthv1.NewHealthClient(conn).Check(context.Background(), &healthv1.HealthCheckRequest{})
		if err != nil || h.GetStatus() != healthv1.HealthCheckResponse_SERVING {
			t.Errorf("health: %v, %v", h, err)
		}
		return p
	}
	got := ask(openAddr, grpc.WithTransportCredentials(insecure.NewCredentials())).GetConfig()
	if len(got) != 1 || len(got[0].GetGenericXdsConfigs()) != 2 || got[0].GetGenericXdsConfigs()[0].GetConfigStatus() != statusv3.ConfigStatus_SYNCED {
		t.Errorf("in plaintext on loopback: %v", got)
	}
	if got := ask(secureAddr, grpc.WithTransportCredentials(web)).GetConfig(); len(got) != 1 || got[0].GetNode().GetId() != "sidecar~shop/web" {
		t.Errorf("with a certificate: %v, want its own alone", got)
	}
}

// FuzzRequests plays any bytes as requests of a stream against a server that has
// another one: nothing panics, what is kept is bounded, the other is served.
func FuzzRequests(f *testing.F) {
	seeds := [][]proto.Message{
		{&discoveryv3.DeltaDiscoveryRequest{TypeUrl: rs.ClusterType}, &discoveryv3.DeltaDiscoveryRequest{TypeUrl: rs.ClusterType, ResponseNonce: "00000000" + "00000001"}},
		{&discoveryv3.DeltaDiscoveryRequest{TypeUrl: rs.EndpointType, ResourceNamesSubscribe: []string{"a", "*", "x"}, InitialResourceVersions: map[string]string{"a": "v", "y": ""}},
			&discoveryv3.DeltaDiscoveryRequest{TypeUrl: rs.EndpointType, ResourceNamesUnsubscribe: []string{"a", "*", "z"}}},
		{&discoveryv3.DeltaDiscoveryRequest{TypeUrl: rs.RouteType, ResourceNamesSubscribe: []string{"a", "a"}}, &discoveryv3.DeltaDiscoveryRequest{TypeUrl: rs.RouteType, ErrorDetail: &rpcstatus.Status{Message: "r"}, ResponseNonce: "00000000" + "00000001"}},
		{&discoveryv3.DiscoveryRequest{TypeUrl: rs.ClusterType}, &discoveryv3.DiscoveryRequest{TypeUrl: rs.ClusterType, ResourceNames: []string{"a", "a"}, ResponseNonce: "x"}},
	}
	for _, seed := range seeds {
		var b []byte
		for _, m := range seed {
			one, err := proto.Marshal(m)
			if err != nil {
				f.Fatal(err)
			}
			b = append(append(b, byte(len(one)>>8), byte(len(one))), one...)
		}
		f.Add(b, true)
		f.Add(b, false)
	}
	f.Fuzz(func(t *testing.T, b []byte, sotw bool) { playBytes(t, b, sotw) })
}

// playBytes takes requests, each after two bytes that say how long it is.
func playBytes(t *testing.T, b []byte, sotw bool) {
	s := newStore()
	good := newActor(t, s, false, Options{})
	bad := newActor(t, s, sotw, Options{MaxUnknown: 8 << 10, MaxNameLength: 64})
	good.put("cds a=eds", "eds a=1", "lds a=1", "rds a=1")
	good.all("a")
	ended := false
	for step := 0; len(b) >= 2 && !ended && step < 200; step++ {
		n := min(int(b[0])<<8|int(b[1]), len(b)-2)
		one := b[2 : 2+n]
		b = b[2+n:]
		q := newRequest(sotw)
		if q.decode(one, bad.stream.schedule.options) != nil || q.refused != nil {
			break
		}
		_, err := bad.stream.schedule.asks(q, bad.now)
		ended = err != nil
		seen := map[string]bool{}
		for r, _ := bad.stream.schedule.next(bad.now); r != nil && !ended; r, _ = bad.stream.schedule.next(bad.now) {
			clear(seen)
			for _, i := range r.items {
				if seen[i.resource.name] {
					t.Fatalf("%s is in a response twice", i.resource.name)
				}
				seen[i.resource.name] = true
			}
		}
		good.put(fmt.Sprintf("rds a=%d", step), fmt.Sprintf("cds b=%d", step%3))
		bad.now = bad.now.Add(time.Second)
		for got := good.next(); got != ""; got = good.next() {
			good.accept(got, "a")
		}
	}
	for k := range s.kinds {
		cost := 0
		for name := range s.kinds[k].ids {
			cost += nameCost + len(name)
		}
		if cost > 8<<10+4*(nameCost+64) && !ended {
			t.Fatalf("the names of %s take %d bytes", kind(k).url(), cost)
		}
	}
	good.put("rds a=last")
	if got := good.next(); got != "rds a" {
		t.Fatalf("the other stream gets %q", got)
	}
	bad.stream.schedule.quit()
	good.stream.schedule.quit()
	good.put("cds a", "cds b", "eds a", "lds a", "rds a")
	for k := range s.kinds {
		if n := len(s.kinds[k].ids); n != 0 {
			t.Fatalf("%d names of %s are never forgotten", n, kind(k).url())
		}
	}
}

// Beyond loopback nobody without a certificate is told of others.
func TestClientStatusIsNotForEverybody(t *testing.T) {
	d := &csds{server: New(Options{}), context: context.Background()}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	statusv3.RegisterClientStatusDiscoveryServiceServer(g, d)
	go g.Serve(lis)
	defer g.Stop()
	conn, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = statusv3.NewClientStatusDiscoveryServiceClient(conn).FetchClientStatus(context.Background(), &statusv3.ClientStatusRequest{})
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("got %v", err)
	}
}
