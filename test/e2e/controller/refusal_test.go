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

	"github.com/meshknot/meshknot/internal/controller"
	"github.com/meshknot/meshknot/internal/xds"
)

// serve serves proxies until stop.
func (c *cluster) serve(server *xds.Server) (address string, stop func()) {
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
	c := newCluster(t)
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
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	send := func(q *discoveryv3.DeltaDiscoveryRequest) {
		t.Helper()
		q.Node, q.TypeUrl = &corev3.Node{Id: "sidecar~shop/web"}, rs.ListenerType
		if err := stream.Send(q); err != nil {
			t.Fatal(err)
		}
	}
	// answers refuses listeners until there is one of the split, and says of which.
	send(&discoveryv3.DeltaDiscoveryRequest{})
	p, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	programmed := func(want string) {
		t.Helper()
		c.eventually("a report that says "+want, func() (bool, any) {
			said, o := c.said(splitReport, "shop-mesh")
			return strings.Contains(said, want), o
		})
	}
	send(&discoveryv3.DeltaDiscoveryRequest{ResponseNonce: p.GetNonce(), ErrorDetail: &rpcstatus.Status{Message: "this proxy is out of sorts"}})
	programmed("False/Rejected")
	_, o := c.said(splitReport, "shop-mesh")
	if text := strings.Join(conditionTexts(o), " "); !strings.Contains(text, "this proxy is out of sorts") {
		t.Errorf("the report says %s", text)
	}
	c.apply(split("3", "4"))
	for {
		if p, err = stream.Recv(); err != nil {
			t.Fatal(err)
		}
		send(&discoveryv3.DeltaDiscoveryRequest{ResponseNonce: p.GetNonce()})
		if len(p.GetResources()) > 0 {
			break
		}
	}
	programmed("True/Programmed")
}

// conditionTexts are the messages of the conditions in a report.
func conditionTexts(o any) (out []string) {
	for _, b := range asList(dig(o, "status", "backends")) {
		out = append(out, texts(dig(b, "conditions"))...)
	}
	return out
}

// A controller that ends leaves nothing behind.
func TestNothingGoesOn(t *testing.T) {
	c := newCluster(t)
	c.apply(shop)
	c.apply(strings.ReplaceAll(binding, "BACKEND", "{name: istio}"))
	c.apply(split("9", "1"))
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
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}
