package xds

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rs "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/meshknot/meshknot/internal/demo/ca"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

const patience = 5 * time.Second

// artifact makes an artifact whose content depends on text.
func artifact(typeURL, name, text string, audience ir.Audience) translators.Artifact {
	var m proto.Message
	switch typeURL {
	case rs.ClusterType:
		m = &clusterv3.Cluster{Name: name, AltStatName: text}
	case rs.EndpointType:
		m = &endpointv3.ClusterLoadAssignment{ClusterName: name}
	case rs.ListenerType:
		m = &listenerv3.Listener{Name: name, StatPrefix: text}
	case rs.RouteType:
		m = &routev3.RouteConfiguration{Name: name, InternalOnlyHeaders: []string{text}}
	}
	return translators.Artifact{ID: translators.ID{Type: typeURL, Name: name}, Audience: audience, Payload: m,
		Refs: []report.Ref{{Kind: "TrafficSplit", Namespace: "shop", Name: name}}}
}

func envoyState(artifacts ...translators.Artifact) State {
	return State{Artifacts: map[string][]translators.Artifact{"envoy": artifacts}}
}

// start serves on loopback until the test ends.
func start(t *testing.T, o Options) (*Server, string) {
	t.Helper()
	s := New(o)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, lis) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, lis.Addr().String()
}

// client is a proxy that speaks state-of-the-world ADS.
type client struct {
	t      *testing.T
	stream discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesClient
	got    chan *discoveryv3.DiscoveryResponse
	err    chan error
}

func node(id string) *corev3.Node { return &corev3.Node{Id: id} }

func dial(t *testing.T, addr string, creds credentials.TransportCredentials) discoveryv3.AggregatedDiscoveryServiceClient {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return discoveryv3.NewAggregatedDiscoveryServiceClient(conn)
}

func connect(t *testing.T, addr string, creds credentials.TransportCredentials) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	c := &client{t, nil, make(chan *discoveryv3.DiscoveryResponse, 100), make(chan error, 1)}
	stream, err := dial(t, addr, creds).StreamAggregatedResources(ctx)
	if err != nil {
		c.err <- err
		return c
	}
	c.stream = stream
	go func() {
		for {
			p, err := stream.Recv()
			if err != nil {
				c.err <- err
				return
			}
			c.got <- p
		}
	}()
	return c
}

func plain(t *testing.T, addr string) *client { return connect(t, addr, insecure.NewCredentials()) }

func (c *client) ask(n *corev3.Node, typeURL string, names ...string) {
	c.t.Helper()
	if err := c.stream.Send(&discoveryv3.DiscoveryRequest{Node: n, TypeUrl: typeURL, ResourceNames: names}); err != nil {
		c.t.Fatal(err)
	}
}

// hello asks for clusters, unless the connection was refused.
func (c *client) hello(id string) *client {
	if c.stream != nil {
		_ = c.stream.Send(&discoveryv3.DiscoveryRequest{Node: node(id), TypeUrl: rs.ClusterType})
	}
	return c
}

func (c *client) next() *discoveryv3.DiscoveryResponse {
	c.t.Helper()
	select {
	case p := <-c.got:
		return p
	case err := <-c.err:
		c.t.Fatalf("the stream ended: %v", err)
	case <-time.After(patience):
		c.t.Fatal("nothing was sent")
	}
	return nil
}

// quiet fails when anything comes within a moment.
func (c *client) quiet() {
	c.t.Helper()
	select {
	case p := <-c.got:
		c.t.Fatalf("%s was sent again, version %s", p.GetTypeUrl(), p.GetVersionInfo())
	case <-time.After(150 * time.Millisecond):
	}
}

func (c *client) failure() error {
	c.t.Helper()
	select {
	case err := <-c.err:
		return err
	case <-time.After(patience):
		c.t.Fatal("the stream did not end")
	}
	return nil
}

// ack accepts a response, nack refuses it.
func (c *client) ack(p *discoveryv3.DiscoveryResponse, names ...string) {
	c.t.Helper()
	if err := c.stream.Send(&discoveryv3.DiscoveryRequest{TypeUrl: p.GetTypeUrl(), ResourceNames: names,
		VersionInfo: p.GetVersionInfo(), ResponseNonce: p.GetNonce()}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) nack(p *discoveryv3.DiscoveryResponse, accepted, text string) {
	c.t.Helper()
	if err := c.stream.Send(&discoveryv3.DiscoveryRequest{TypeUrl: p.GetTypeUrl(), VersionInfo: accepted,
		ResponseNonce: p.GetNonce(), ErrorDetail: &rpcstatus.Status{Message: text}}); err != nil {
		c.t.Fatal(err)
	}
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("not within %s: %s", patience, what)
}

func issue(t *testing.T, authority *ca.CA, identity string) ca.Files {
	t.Helper()
	f, err := authority.Write(t.TempDir(), identity)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func newCA(t *testing.T) *ca.CA {
	t.Helper()
	c, err := ca.New()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func clientTLS(t *testing.T, f ca.Files) credentials.TransportCredentials {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(f.CA)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: pool, ServerName: "localhost"})
}
