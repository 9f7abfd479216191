package envoy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/schema"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/envoy"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/xds"
)

// TestValidate gives Envoy everything that can be emitted, redirection and all,
// and asks whether it would start with it.
func TestValidate(t *testing.T) {
	l := newRig(t)
	binary, err := lab.Binary(lab.Envoy)
	must(t, err)
	for _, u := range everyUnit() {
		t.Run(u.Key().String(), func(t *testing.T) {
			for _, sds := range []string{"", "meshknot"} { // the bootstrap's own secrets, or those of a cluster that it has
				b := l.bootstrap(web)
				artifacts, _ := envoy.New().Translate(u, translators.Target{Options: map[string]string{"sds": sds}})
				for _, a := range artifacts {
					add(t, b, a.Payload.(proto.Message))
				}
				text, err := protojson.Marshal(b)
				must(t, err)
				file := filepath.Join(t.TempDir(), "bootstrap.json")
				must(t, os.WriteFile(file, text, 0o600))
				if said, err := exec.Command(binary, "--mode", "validate", "-l", "error", "-c", file).CombinedOutput(); err != nil {
					t.Errorf("%v: %s", err, said)
				}
			}
		})
	}
}

// add puts a resource where a bootstrap can hold it; routes go into a listener.
func add(t *testing.T, b *bootstrapv3.Bootstrap, m proto.Message) {
	must(t, schema.XDS(m))
	switch m := m.(type) {
	case *clusterv3.Cluster:
		b.StaticResources.Clusters = append(b.StaticResources.Clusters, m)
	case *listenerv3.Listener:
		b.StaticResources.Listeners = append(b.StaticResources.Listeners, m)
	case *routev3.RouteConfiguration:
		filter := func(name string, c proto.Message) *hcmv3.HttpFilter {
			return &hcmv3.HttpFilter{Name: name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: xds.Any(c)}}
		}
		manager := &hcmv3.HttpConnectionManager{StatPrefix: "x",
			RouteSpecifier: &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: m},
			HttpFilters:    []*hcmv3.HttpFilter{filter(xds.FaultFilter, &faultv3.HTTPFault{}), filter("envoy.filters.http.router", &routerv3.Router{})}}
		b.StaticResources.Listeners = append(b.StaticResources.Listeners, &listenerv3.Listener{
			Name: "routes " + m.GetName(), Address: xds.Address("127.0.0.1", uint32(20000+len(b.StaticResources.Listeners))),
			FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{Name: "http",
				ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: xds.Any(manager)}}}}}})
		for _, name := range named(m) {
			if !slices.ContainsFunc(b.StaticResources.Clusters, func(c *clusterv3.Cluster) bool { return c.GetName() == name }) {
				b.StaticResources.Clusters = append(b.StaticResources.Clusters, xds.Cluster(name))
			}
		}
	default:
		t.Fatalf("no place for a %T", m)
	}
}

// named lists the clusters that routes send to.
func named(r *routev3.RouteConfiguration) []string {
	var out []string
	var entries []*routev3.Route
	for _, v := range r.GetVirtualHosts() {
		entries = append(entries, v.GetRoutes()...)
	}
	for _, one := range entries {
		for _, m := range one.GetRoute().GetRequestMirrorPolicies() {
			out = append(out, m.GetCluster())
		}
		if a := one.GetRoute(); a.GetCluster() != "" {
			out = append(out, a.GetCluster())
		} else if a != nil {
			for _, w := range a.GetWeightedClusters().GetClusters() {
				out = append(out, w.GetName())
			}
		}
	}
	return out
}

// everyUnit has a unit of every kind with every shape of condition in it.
func everyUnit() []ir.Unit {
	paths := []ir.StringMatch{anyPath, exact("/a.b"), prefix("/p"), suffix(".c"), contains("+"), exact(""), prefix(""), regex(""),
		regex("/api/v[0-9]+/users/[a-zA-Z0-9_-]{1,64}/orders/[0-9]{1,10}"), regex("(/[a-z0-9]{1,63}){1,8}")}
	var matches []ir.Match
	for _, p := range paths {
		matches = append(matches, match(p), match(p, "GET"), withHeader(match(p, "PUT", "POST"), "x-a", p), withHeader(match(anyPath), "host", p))
	}
	split := route("split", matches, backend("v1", 80, 1<<31), missing("v2", 80, 1<<31-1), backend("v3", ir.AnyPort, 0))
	root := service("root", 80, ir.HTTP, split)
	root.Service.Addresses = []string{"10.0.0.1", "fd00::1"}
	root.Service.Ports[0].Views = []ir.View{{Namespace: "bank", Routes: everyAction()}}
	for i, p := range []ir.Protocol{ir.HTTP2, ir.GRPC, ir.TCP, ir.UDP} {
		routes := []ir.Route{route("split", everything, backend("v1", 80, 1), missing("v2", 80, 1)), route("default", everything, backend("root", int32(81+i), 1))}
		root.Service.Ports = append(root.Service.Ports, ir.Port{Number: int32(81 + i), Protocol: p, Routes: routes})
	}
	ports := []ir.WorkloadPort{{Number: 80, Protocol: ir.HTTP}, {Number: 81, Protocol: ir.GRPC}, {Number: 82, Protocol: ir.TCP}, {Number: 83, Protocol: ir.UDP}, {Number: 15006, Protocol: ir.TCP}}
	probes := []ir.Probe{{Port: 80, Protocol: ir.HTTP, Path: "/h"}, {Port: 81, Protocol: ir.GRPC}, {Port: 90, Protocol: ir.TCP}, {Port: 91, Protocol: ir.HTTP}}
	gateway := &ir.Gateway{Namespace: "shop", Name: "edge", Identity: web, Ports: []ir.GatewayPort{{Number: 8080, Protocol: ir.HTTP}, {Number: 8081, Protocol: ir.HTTP}}}
	host := func(name string, routes ...ir.Route) ir.Unit {
		return ir.Unit{VirtualHost: &ir.VirtualHost{Gateway: shop("edge"), Port: 8080, Host: name, Identity: web, Routes: routes}}
	}
	units := []ir.Unit{mesh, {Gateway: gateway}, host("*", split), host("*.example.com", everyAction()...), host("a.example", everyAction()...), {Namespace: &ir.Namespace{Name: "shop", Enforced: true}}, root, service("inferred", ir.AnyPort, ir.HTTP, split)}
	for i, w := range []ir.Workload{
		{}, {Ports: ports, Probes: probes}, {Enforced: true}, {Enforced: true, Ports: ports, Probes: probes},
		{Enforced: true, Ports: ports, Probes: probes, Grants: []ir.Grant{grant("g", []int32{80, 81, 82}, web, append(matches, ir.MatchAll(report.Ref{}))...)}},
		{Enforced: true, Grants: []ir.Grant{grant("any", []int32{ir.AnyPort}, web, matches...)}},
	} {
		w.Namespace, w.Account = "shop", fmt.Sprintf("w%d", i)
		units = append(units, ir.Unit{Workload: &w})
	}
	return units
}

// everyAction has a route for everything that can be done with a request.
func everyAction() []ir.Route {
	name := func(i int) []ir.Match { return path(segments(fmt.Sprintf("/%d", i))) }
	edit := &ir.HeaderEdit{Set: []ir.Header{{Name: "host", Value: "h"}, {Name: "x-a", Value: "1%"}}, Add: []ir.Header{{Name: "x-b", Value: ""}}, Remove: []string{"x-c", "host", ":path"}}
	paths := []*ir.PathEdit{nil, {Value: ""}, {Value: "/"}, {Value: `/\1%`}, {Prefix: true, Value: ""}, {Prefix: true, Value: "/"}, {Prefix: true, Value: "/a/"}, {Prefix: true, Value: "/a"}}
	var out []ir.Route
	for _, p := range paths {
		out = append(out, ir.Route{Matches: name(len(out)), Backends: []ir.Backend{backend("v1", 80, 1)}, Rewrite: &ir.Rewrite{Host: "h", Path: p}},
			ir.Route{Matches: append(name(len(out)), match(anyPath, "PUT"), match(regex("/x+")), match(exact("/e"))), Redirect: &ir.Redirect{Scheme: "https", Path: p, Status: 301}},
			ir.Route{Matches: name(len(out)), Redirect: &ir.Redirect{Host: "h", Port: 81, Path: p, Status: 308}})
	}
	share := backend("v1", 80, 1)
	share.RequestHeaders, share.ResponseHeaders = edit, edit
	return append(out,
		ir.Route{Matches: []ir.Match{withQuery(withQuery(match(anyPath), "a", regex("1+")), "b", anyPath), withQuery(match(anyPath), "c", exact(""))}, Status: 500},
		ir.Route{Matches: name(100), Backends: []ir.Backend{share, missing("v9", 80, 2)}, RequestHeaders: edit, ResponseHeaders: edit, Timeout: &ir.Timeout{Request: 1, Backend: 2},
			Mirrors: []ir.Mirror{{Backend: backend("v3", 80, 0), Numerator: 1, Denominator: 3}, {Backend: backend("v3", 80, 0), Numerator: 7, Denominator: 7}}},
		ir.Route{Matches: name(101), Backends: []ir.Backend{backend("v1", 80, 1)}, RequestHeaders: edit, ResponseHeaders: edit},
		ir.Route{Matches: everything, Status: 404})
}
