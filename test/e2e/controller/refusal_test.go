package controller_test

import (
	"context"
	"fmt"
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
	"github.com/meshknot/meshknot/test/lab"
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

	proxy := c.proxy(address)
	p := proxy.filled()
	programmed := func(want string) {
		t.Helper()
		c.eventually("a report that says "+want, func() (bool, any) {
			said, o := c.said(splitReport, "shop-mesh")
			return strings.Contains(said, want), []any{server.Status().Nodes, o}
		})
	}
	proxy.refuse(p, "this proxy is out of sorts")
	programmed("False/Rejected")
	_, o := c.said(splitReport, "shop-mesh")
	if text := strings.Join(conditionTexts(o), " "); !strings.Contains(text, "this proxy is out of sorts") {
		t.Errorf("the report says %s", text)
	}
	c.apply(split("3", "4"))
	proxy.accept(proxy.filled())
	programmed("True/Programmed")
}

// rawProxy is a proxy that asks for the routes of reviews.
type rawProxy struct {
	t      testing.TB
	stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
}

// proxy connects one.
func (c *world) proxy(address string) *rawProxy {
	c.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		c.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*cluster.Within)
	c.Cleanup(func() { cancel(); conn.Close() })
	p := &rawProxy{t: c}
	if p.stream, err = discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx); err != nil {
		c.Fatal(err)
	}
	p.send(&discoveryv3.DeltaDiscoveryRequest{ResourceNamesSubscribe: []string{"reviews.shop:80"}})
	return p
}

func (p *rawProxy) send(q *discoveryv3.DeltaDiscoveryRequest) {
	p.t.Helper()
	q.Node, q.TypeUrl = &corev3.Node{Id: "sidecar~shop/web"}, rs.RouteType
	if err := p.stream.Send(q); err != nil {
		p.t.Fatal(err)
	}
}

// filled is the next response that has anything in it; others are accepted.
func (p *rawProxy) filled() *discoveryv3.DeltaDiscoveryResponse {
	p.t.Helper()
	for {
		r, err := p.stream.Recv()
		if err != nil {
			p.t.Fatal(err)
		}
		if len(r.GetResources()) > 0 {
			return r
		}
		p.accept(r)
	}
}

func (p *rawProxy) accept(r *discoveryv3.DeltaDiscoveryResponse) {
	p.t.Helper()
	p.send(&discoveryv3.DeltaDiscoveryRequest{ResponseNonce: r.GetNonce()})
}

func (p *rawProxy) refuse(r *discoveryv3.DeltaDiscoveryResponse, why string) {
	p.t.Helper()
	p.send(&discoveryv3.DeltaDiscoveryRequest{ResponseNonce: r.GetNonce(), ErrorDetail: &rpcstatus.Status{Message: why}})
}

// What a proxy says reaches the object also where it says so to a replica that does not
// write, and until it has acknowledged an edit nobody says that this is in force.
func TestARefusalReachesItsObjectThroughAnotherReplica(t *testing.T) {
	c := newWorld(t)
	c.apply(shop)
	c.apply(strings.ReplaceAll(binding, "BACKEND", "{name: envoy}"))
	c.apply(split("9", "1"))
	replica := func(name string) (address string, stop func()) {
		server := xds.New(xds.Options{})
		address, _ = c.serve(server)
		running, stop := c.startWith(func(o *controller.Options) {
			o.Server = server
			o.Election = &controller.Election{Namespace: "default", Identity: name}
		})
		<-running.Compiled()
		if name == "one" {
			c.eventually("a leader", func() (bool, any) { return running.Settled(), nil })
		}
		return address, stop
	}
	leader, _ := replica("one")
	follower, end := replica("two")
	near, far := c.proxy(leader), c.proxy(follower)
	near.accept(near.filled())
	programmed := func(want string) {
		t.Helper()
		c.eventually("a report that says "+want, func() (bool, any) {
			said, o := c.said(splitReport, "shop-mesh")
			return strings.Contains(said, want), o
		})
	}
	far.refuse(far.filled(), "the far one is out of sorts")
	programmed("False/Rejected")
	_, o := c.said(splitReport, "shop-mesh")
	if text := strings.Join(conditionTexts(o), " "); !strings.Contains(text, "the far one is out of sorts") {
		t.Errorf("the report says %s", text)
	}
	c.apply(split("3", "4"))
	near.accept(near.filled())
	programmed("Unknown/Pending")
	far.accept(far.filled())
	programmed("True/Programmed")

	leases := func(want int) (all []lab.Object) {
		t.Helper()
		c.eventually(fmt.Sprint(want, " Leases"), func() (bool, any) {
			list, err := c.kube.List("coordination.k8s.io/v1", "Lease", "default")
			all = list
			return err == nil && len(list) == want, len(list)
		})
		return all
	}
	for _, l := range leases(3) { // of who leads, and of what the proxies of each say
		if cluster.Dig(l, "metadata", "labels", "meshknot.io/proxies") != nil {
			if err := c.kube.Delete(l); err != nil {
				t.Fatal(err)
			}
		}
	}
	leases(3) // who was taken for gone says that it is there

	c.apply(split("5", "6"))
	near.accept(near.filled())
	programmed("Unknown/Pending")
	end() // its proxies are not waited for
	programmed("True/Programmed")
	leases(2)
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
