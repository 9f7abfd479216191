package xds

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rs "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
)

func names(t *testing.T, p *discoveryv3.DiscoveryResponse) []string {
	t.Helper()
	var out []string
	for _, r := range p.GetResources() {
		m, err := r.UnmarshalNew()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m.(interface{ GetName() string }).GetName())
	}
	slices.Sort(out)
	return out
}

func TestAudience(t *testing.T) {
	s, addr := start(t, Options{})
	state := envoyState(
		artifact(rs.ClusterType, "all", "", ir.Audience{}),
		artifact(rs.ClusterType, "namespace", "", ir.Audience{Namespace: "shop"}),
		artifact(rs.ClusterType, "account", "", ir.Audience{Namespace: "shop", Account: "web"}))
	state.Artifacts["grpc"] = []translators.Artifact{artifact(rs.ClusterType, "grpc", "", ir.Audience{})}
	if err := s.Update(state); err != nil {
		t.Fatal(err)
	}
	meta, err := structpb.NewStruct(map[string]any{"namespace": "shop", "account": "web", "backend": "grpc"})
	if err != nil {
		t.Fatal(err)
	}
	byMetadata := node("pod-1")
	byMetadata.Metadata = meta
	for _, tt := range []struct {
		name string
		id   string
		want []string
	}{
		{"its account", "sidecar~shop/web", []string{"account", "all", "namespace"}},
		{"a pod of its account", "sidecar~shop/web~web-7f9c", []string{"account", "all", "namespace"}},
		{"another account", "sidecar~shop/cart", []string{"all", "namespace"}},
		{"another namespace", "sidecar~bank/web", []string{"all"}},
		{"another back end, by metadata", "", []string{"grpc"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, n := plain(t, addr), byMetadata
			if tt.id != "" {
				n = node(tt.id)
			}
			c.ask(n, rs.ClusterType)
			if got := names(t, c.next()); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// Of resources that share a name a proxy gets the one for the fewest.
func TestNarrowestAudience(t *testing.T) {
	variants := []translators.Artifact{
		artifact(rs.RouteType, "r", "all", ir.Audience{}),
		artifact(rs.RouteType, "r", "shop", ir.Audience{Namespace: "shop"}),
		artifact(rs.RouteType, "r", "web", ir.Audience{Namespace: "shop", Account: "web"}),
		artifact(rs.RouteType, "r", "bank", ir.Audience{Namespace: "bank"}),
	}
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}} {
		var all []translators.Artifact
		for _, i := range order {
			all = append(all, variants[i])
		}
		s := New(Options{})
		if err := s.Update(envoyState(all...)); err != nil {
			t.Fatal(err)
		}
		shelf := &s.store(backendEnvoy).kinds[routes]
		for _, c := range []struct{ namespace, account, want string }{
			{"shop", "web", "web"}, {"shop", "cart", "shop"}, {"bank", "web", "bank"}, {"park", "web", "all"},
		} {
			got := map[string]string{}
			who := ir.Identity{Namespace: c.namespace, Account: c.account}
			for _, id := range shelf.all(who) {
				r := shelf.view(id, who)
				got[r.name] += payload(t, r).(*routev3.RouteConfiguration).GetInternalOnlyHeaders()[0]
			}
			if len(got) != 1 || got["r"] != c.want {
				t.Errorf("%v: %s/%s gets %v, want %s", order, c.namespace, c.account, got, c.want)
			}
		}
	}
}

// payload decodes what is sent of a resource.
func payload(t *testing.T, r *resource) proto.Message {
	t.Helper()
	var p discoveryv3.DiscoveryResponse
	if err := proto.Unmarshal(r.sotw.ReadOnlyData(), &p); err != nil || len(p.GetResources()) != 1 {
		t.Fatalf("%s: %v, %v", r.name, &p, err)
	}
	m, err := p.GetResources()[0].UnmarshalNew()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestUnknownNodesAreTurnedAway(t *testing.T) {
	s, addr := start(t, Options{})
	if err := s.Update(envoyState()); err != nil { // or requests are not read on
		t.Fatal(err)
	}
	other := node("x")
	other.Metadata, _ = structpb.NewStruct(map[string]any{"namespace": "shop", "account": "web", "backend": "istio"})
	for _, tt := range []struct {
		name string
		ask  func(c *client)
		want codes.Code
	}{
		{"no identity", func(c *client) { c.ask(node("pod-1"), rs.ClusterType) }, codes.InvalidArgument},
		{"no node", func(c *client) { c.ask(nil, rs.ClusterType) }, codes.InvalidArgument},
		{"half an identity", func(c *client) { c.ask(node("sidecar~shop"), rs.ClusterType) }, codes.InvalidArgument},
		{"not a name", func(c *client) { c.ask(node("sidecar~sh|op/web"), rs.ClusterType) }, codes.InvalidArgument},
		{"unknown back end", func(c *client) { c.ask(other, rs.ClusterType) }, codes.InvalidArgument},
		{"another on the same stream", func(c *client) {
			c.ask(node("sidecar~shop/web"), rs.ClusterType)
			c.ask(node("sidecar~shop/admin"), rs.ClusterType)
		}, codes.PermissionDenied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := plain(t, addr)
			tt.ask(c)
			if err := c.failure(); status.Code(err) != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestOnlyChangesAreSent(t *testing.T) {
	s, addr := start(t, Options{})
	update := func(routes string, audience ir.Audience) {
		t.Helper()
		if err := s.Update(envoyState(artifact(rs.RouteType, "r", routes, ir.Audience{}),
			artifact(rs.ClusterType, "c", "", audience))); err != nil {
			t.Fatal(err)
		}
	}
	c := plain(t, addr)
	c.ask(node("sidecar~shop/web"), rs.RouteType, "r")
	c.quiet() // nothing is known yet, so the proxy keeps what it has
	update("one", ir.Audience{})
	p := c.next()
	if s.Status().Nodes[0].InSync {
		t.Error("in sync before the proxy has accepted anything")
	}
	c.ack(p, "r")
	c.quiet()
	update("one", ir.Audience{})
	c.quiet()
	if !s.Status().Nodes[0].InSync {
		t.Error("not in sync")
	}
	update("one", ir.Audience{Namespace: "bank"}) // the cluster goes, the route stays
	c.quiet()
	update("two", ir.Audience{})
	c.ack(c.next(), "r")
	if err := s.Update(State{Artifacts: map[string][]translators.Artifact{}}); err != nil {
		t.Fatal(err)
	}
	c.quiet() // a back end that is withheld keeps what it has
	eventually(t, "two pushes accepted", func() bool {
		st := s.Status()
		return st.Pushes == 2 && st.Acks == 2 && st.Nacks == 0 && len(st.Nodes) == 1 &&
			st.Nodes[0].Types[0].Accepted == st.Nodes[0].Types[0].Sent
	})
}

func TestRefusalIsLedBackAndNotRepeated(t *testing.T) {
	s, addr := start(t, Options{})
	a, b := artifact(rs.ClusterType, "v2", "", ir.Audience{}), artifact(rs.ClusterType, "reviews-v2", "", ir.Audience{})
	if err := s.Update(envoyState(a, b)); err != nil {
		t.Fatal(err)
	}
	c := plain(t, addr)
	c.ask(node("sidecar~shop/web"), rs.ClusterType)
	c.nack(c.next(), "", "cluster reviews-v2: no such thing")
	c.quiet()
	got := s.Status().LastNack
	if got == nil || got.Resource != "reviews-v2" || len(got.Refs) != 1 || got.Refs[0].Name != "reviews-v2" ||
		got.TypeURL != rs.ClusterType || got.Node != "sidecar~shop/web" {
		t.Errorf("last refusal: %+v", got)
	}
	if err := s.Update(envoyState(a)); err != nil {
		t.Fatal(err)
	}
	// What was refused was never used, yet the step between still offers it.
	for p := c.next(); ; p = c.next() {
		c.ack(p)
		if slices.Equal(names(t, p), []string{"v2"}) {
			break
		}
	}
	c.quiet()
	if st := s.Status(); st.Nacks != 1 || st.Nodes[0].Nacks != 1 || st.Nodes[0].LastNack == nil {
		t.Errorf("status: %+v", st)
	}
}

func TestClustersComeFirstAndGoLast(t *testing.T) {
	s, addr := start(t, Options{})
	state := func(cluster string) State {
		return envoyState(artifact(rs.ClusterType, cluster, "", ir.Audience{}), artifact(rs.RouteType, "r", cluster, ir.Audience{}))
	}
	if err := s.Update(state("v1")); err != nil {
		t.Fatal(err)
	}
	c := plain(t, addr)
	c.ask(node("sidecar~shop/web"), rs.ClusterType)
	c.ack(c.next())
	c.ask(nil, rs.RouteType, "r")
	c.ack(c.next(), "r")
	eventually(t, "both accepted", func() bool { return s.Status().Acks == 2 })
	time.Sleep(20 * time.Millisecond) // until the server waits for changes again
	if err := s.Update(state("v2")); err != nil {
		t.Fatal(err)
	}
	var got []string
	for range 3 {
		p := c.next()
		c.ack(p, map[string][]string{rs.RouteType: {"r"}}[p.GetTypeUrl()]...)
		got = append(got, p.GetTypeUrl()[strings.LastIndex(p.GetTypeUrl(), ".")+1:]+" "+strings.Join(names(t, p), "+"))
	}
	want := []string{"Cluster v1+v2", "RouteConfiguration r", "Cluster v2"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDelta(t *testing.T) {
	s, addr := start(t, Options{})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stream, err := dial(t, addr, insecure.NewCredentials()).DeltaAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Update(envoyState(artifact(rs.ListenerType, "a", "", ir.Audience{}), artifact(rs.ListenerType, "b", "", ir.Audience{}))); err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: node("sidecar~shop/web"), TypeUrl: rs.ListenerType}); err != nil {
		t.Fatal(err)
	}
	p, err := stream.Recv()
	if err != nil || len(p.GetResources()) != 2 {
		t.Fatalf("got %v, %v", p, err)
	}
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: rs.ListenerType, ResponseNonce: p.GetNonce()}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "accepted", func() bool { return s.Status().Acks == 1 })
	if err := s.Update(envoyState(artifact(rs.ListenerType, "b", "new", ir.Audience{}))); err != nil {
		t.Fatal(err)
	}
	p, err = stream.Recv() // what is new comes first, and what is gone goes after it was answered
	if err != nil || len(p.GetResources()) != 1 || p.GetResources()[0].GetName() != "b" || len(p.GetRemovedResources()) > 0 {
		t.Fatalf("got %v, %v", p, err)
	}
	if err := stream.Send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: rs.ListenerType, ResponseNonce: p.GetNonce(),
		ErrorDetail: &rpcstatus.Status{Message: "listener b: bad"}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "refused", func() bool {
		st := s.Status()
		return st.Nacks == 1 && st.LastNack.Resource == "b" && st.Nodes[0].Delta
	})
	if p, err = stream.Recv(); err != nil || len(p.GetResources()) > 0 || !slices.Equal(p.GetRemovedResources(), []string{"a"}) {
		t.Fatalf("got %v, %v", p, err)
	}
}

func TestUpdateRefusesWhatIsNotXDS(t *testing.T) {
	s := New(Options{})
	wrong := artifact(rs.ClusterType, "a", "", ir.Audience{})
	wrong.ID.Name = "b"
	for _, tt := range []struct {
		name string
		give translators.Artifact
	}{
		{"an object", translators.Artifact{ID: translators.ID{Type: "v1/Service", Name: "a"}, Payload: map[string]any{}}},
		{"another name", wrong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := s.Update(envoyState(tt.give)); err == nil || s.Ready() {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Streams, and the names that they alone were interested in, are forgotten.
func TestStreamsAreForgotten(t *testing.T) {
	s, addr := start(t, Options{})
	if err := s.Update(envoyState()); err != nil {
		t.Fatal(err)
	}
	a, b := plain(t, addr), plain(t, addr)
	for _, c := range []*client{a, b} {
		c.ask(node("sidecar~shop/web"), rs.ClusterType)
		c.next()
		c.ask(nil, rs.RouteType, "nobody")
	}
	type count struct{ streams, wild, names int }
	counted := func(want count) func() bool {
		return func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			store := s.store(backendEnvoy)
			return want == count{len(s.streams), len(store.kinds[clusters].wild), len(store.kinds[routes].ids)}
		}
	}
	eventually(t, "two streams", counted(count{2, 2, 1}))
	_ = a.stream.CloseSend()
	eventually(t, "one stream left", counted(count{1, 1, 1}))
	_ = b.stream.CloseSend()
	eventually(t, "no stream left", counted(count{}))
}

func TestStopEndsStreams(t *testing.T) {
	s := New(Options{})
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, lis) }()
	c := plain(t, lis.Addr().String())
	c.ask(node("sidecar~shop/web"), rs.ClusterType)
	eventually(t, "connected", func() bool { return len(s.Status().Nodes) == 1 })
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(2 * time.Second):
		t.Error("an open stream keeps the server from stopping")
	}
	if err := c.failure(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v, want a clean end", err)
	}
}

func TestAdmin(t *testing.T) {
	s, addr := start(t, Options{})
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		s.Admin().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, w.Body.String()
	}
	if code, _ := get("/healthz"); code != http.StatusOK {
		t.Errorf("/healthz before the first update: %d", code)
	}
	if code, _ := get("/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("/readyz before the first update: %d", code)
	}
	state := envoyState(artifact(rs.ClusterType, "c", "", ir.Audience{}))
	state.Units = []ir.Unit{{Service: &ir.Service{Namespace: "shop", Name: "reviews"}}}
	if err := s.Update(state); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ready", func() bool { code, _ := get("/readyz"); return code == http.StatusOK })
	c := plain(t, addr)
	c.ask(node("sidecar~shop/web"), rs.ClusterType)
	c.ack(c.next())
	eventually(t, "status of the node", func() bool {
		var st Status
		_, body := get("/status")
		return json.Unmarshal([]byte(body), &st) == nil && st.Ready && len(st.Nodes) == 1 &&
			st.Nodes[0].Account == "web" && st.Nodes[0].Acks == 1
	})
	if _, body := get("/debug/units"); !strings.Contains(body, `"name": "reviews"`) {
		t.Errorf("/debug/units: %s", body)
	}
	if code, _ := get("/debug/pprof/"); code != http.StatusNotFound {
		t.Errorf("/debug/pprof/: %d", code)
	}
}
