package controller_test

import (
	"context"
	"net"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rs "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"go.uber.org/goleak"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"

	"github.com/meshknot/meshknot/internal/controller"
	"github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/test/e2e/cluster"
)

// serve serves proxies until stop.
func (c *world) serve(server *xds.Server) (address string, stop func()) {
	c.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, lis) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			c.Error(err)
		}
	}
	c.Cleanup(stop)
	return lis.Addr().String(), stop
}

// A refusal that names no resource reaches the objects that what it refuses was made
// of, and goes when something else is accepted.
func TestARefusalReachesItsObject(t *testing.T) {
	c := newWorld(t)
	c.apply(shop)
	c.apply(strings.ReplaceAll(binding, "BACKEND", "{name: envoy}"))
	c.apply(split("9", "1"))
	server := xds.New(xds.Options{})
	address, _ := c.serve(server)
	c.start(server)

	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*cluster.Within)
	defer cancel()
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	send := func(q *discoveryv3.DeltaDiscoveryRequest) {
		t.Helper()
		q.Node, q.TypeUrl = &corev3.Node{Id: "sidecar~shop/web"}, rs.RouteType
		if err := stream.Send(q); err != nil {
			t.Fatal(err)
		}
	}
	// filled is the next response that has anything in it; others are accepted.
	filled := func() *discoveryv3.DeltaDiscoveryResponse {
		t.Helper()
		for {
			p, err := stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if len(p.GetResources()) > 0 {
				return p
			}
			send(&discoveryv3.DeltaDiscoveryRequest{ResponseNonce: p.GetNonce()})
		}
	}
	send(&discoveryv3.DeltaDiscoveryRequest{ResourceNamesSubscribe: []string{"reviews.shop:80"}})
	p := filled()
	programmed := func(want string) {
		t.Helper()
		c.eventually("a report that says "+want, func() (bool, any) {
			said, o := c.said(splitReport, "shop-mesh")
			return strings.Contains(said, want), []any{server.Status().Nodes, o}
		})
	}
	send(&discoveryv3.DeltaDiscoveryRequest{ResponseNonce: p.GetNonce(), ErrorDetail: &rpcstatus.Status{Message: "this proxy is out of sorts"}})
	programmed("False/Rejected")
	_, o := c.said(splitReport, "shop-mesh")
	if text := strings.Join(conditionTexts(o), " "); !strings.Contains(text, "this proxy is out of sorts") {
		t.Errorf("the report says %s", text)
	}
	c.apply(split("3", "4"))
	send(&discoveryv3.DeltaDiscoveryRequest{ResponseNonce: filled().GetNonce()})
	programmed("True/Programmed")
}

// conditionTexts are the messages of the conditions in a report.
func conditionTexts(o any) (out []string) {
	for _, b := range asList(cluster.Dig(o, "status", "backends")) {
		out = append(out, texts(cluster.Dig(b, "conditions"))...)
	}
	return out
}

// A controller that ends leaves nothing behind.
func TestNothingGoesOn(t *testing.T) {
	c := newWorld(t)
	c.apply(shop)
	c.apply(strings.ReplaceAll(binding, "BACKEND", "{name: istio}"))
	c.apply(split("9", "1"))
	cfg, err := c.kube.Config()
	if err != nil {
		t.Fatal(err)
	}
	before := goleak.IgnoreCurrent()
	server := xds.New(xds.Options{})
	_, away := c.serve(server)
	running, stop := c.startWith(func(o *controller.Options) {
		o.Server = server
		o.Election = &controller.Election{Namespace: "default", Identity: "one"}
	})
	<-running.Compiled()
	c.eventually("everything written", func() (bool, any) { return running.Settled(), nil })
	stop()
	away()
	transport, err := rest.TransportFor(cfg) // that of all clients, which keeps connections open for the next one
	if err != nil {
		t.Fatal(err)
	}
	utilnet.CloseIdleConnectionsFor(transport)
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}
