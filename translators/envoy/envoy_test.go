package envoy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshknot/meshknot/test/schema"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/envoy"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

func ref(kind, name string) report.Ref {
	return report.Ref{Kind: kind, Namespace: "shop", Name: name}
}

// reviews is a Service with a port of each protocol.
func reviews() ir.Service {
	s := ir.Service{Namespace: "shop", Name: "reviews", Ref: ref("Service", "reviews"), Addresses: []string{"10.0.0.1"}}
	for i, p := range []ir.Protocol{ir.HTTP, ir.GRPC, ir.TCP, ir.UDP} {
		self := ir.Backend{Service: ir.Name{Namespace: "shop", Name: "reviews"}, Port: int32(80 + i), Weight: 1,
			Servers: []ir.Identity{{Namespace: "shop", Account: "reviews"}}}
		gone := self
		gone.Service.Name, gone.Invalid = "gone", "there is no such Service"
		s.Ports = append(s.Ports, ir.Port{Number: int32(80 + i), Protocol: p, Ref: s.Ref, Routes: []ir.Route{
			{Name: "split", Ref: ref("TrafficSplit", "split"), Matches: []ir.Match{ir.MatchAll(ref("TrafficSplit", "split"))}, Backends: []ir.Backend{gone, self}},
			{Name: "default", Matches: []ir.Match{ir.MatchAll(s.Ref)}, Backends: []ir.Backend{self}}}})
	}
	return s
}

// guarded is a workload with a port of each protocol, a grant and a probe.
func guarded() ir.Workload {
	w := ir.Workload{Namespace: "shop", Account: "reviews", Ref: ref("ServiceAccount", "reviews"), Enforced: true,
		Probes: []ir.Probe{{Port: 8080, Protocol: ir.HTTP, Path: "/healthz"}, {Port: 9000, Protocol: ir.TCP}}}
	g := ir.Grant{Name: ir.Name{Namespace: "shop", Name: "web"}, Ref: ref("TrafficTarget", "web"),
		Sources: []ir.Source{{Identity: ir.Identity{Namespace: "shop", Account: "web"}}}, Matches: []ir.Match{ir.MatchAll(ref("TrafficTarget", "web"))}}
	for i, p := range []ir.Protocol{ir.HTTP, ir.GRPC, ir.TCP, ir.UDP} {
		w.Ports = append(w.Ports, ir.WorkloadPort{Number: int32(8080 + i), Protocol: p})
		g.Ports = append(g.Ports, ir.GrantPort{Number: int32(8080 + i)})
	}
	w.Grants = []ir.Grant{g}
	return w
}

func units() []ir.Unit {
	s, w := reviews(), guarded()
	open := guarded()
	open.Account, open.Enforced, open.Grants = "open", false, nil
	anyPort := ir.Workload{Namespace: "shop", Account: "any", Enforced: true, Grants: slices.Clone(guarded().Grants)}
	anyPort.Grants[0].Ports = []ir.GrantPort{{Number: ir.AnyPort}}
	return []ir.Unit{{Mesh: &ir.Mesh{}}, {Namespace: &ir.Namespace{Name: "shop", Enforced: true}}, {Service: &s},
		{Workload: &w}, {Workload: &open}, {Workload: &anyPort},
		{Endpoints: &ir.Endpoints{Namespace: "shop", Name: "reviews", Ports: []ir.EndpointsPort{{Number: 80,
			Endpoints: []ir.Endpoint{{Address: "10.1.0.1", Port: 8080, Ready: true}}}}}}}
}

// artifacts translates and fails on any finding.
func artifacts(t *testing.T, u ir.Unit, options map[string]string) []translators.Artifact {
	t.Helper()
	out, found := envoy.New().Translate(u, translators.Target{Options: options})
	if len(found) > 0 {
		t.Fatalf("%s: %v", u.Key(), found)
	}
	return out
}

func bytesOf(t *testing.T, all []translators.Artifact) []byte {
	t.Helper()
	var out []byte
	for _, a := range all {
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(a.Payload.(proto.Message))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprint(a.ID, a.Rank, a.Audience, a.Refs)...)
		out = append(out, b...)
	}
	return out
}

// Everything that is emitted keeps to its definition, has an ID of its own, is
// the same each time, and was made without touching the input.
func TestArtifacts(t *testing.T) {
	seen := map[translators.ID]ir.Key{}
	for _, u := range units() {
		before, err := json.Marshal(u)
		if err != nil {
			t.Fatal(err)
		}
		all := artifacts(t, u, nil)
		if len(all) == 0 && u.Namespace == nil {
			t.Errorf("%s: nothing is made", u.Key())
		}
		for _, a := range all {
			if owner, ok := seen[a.ID]; ok {
				t.Errorf("%v is made of %s and of %s", a.ID, owner, u.Key())
			}
			seen[a.ID] = u.Key()
			if err := schema.XDS(a.Payload.(proto.Message)); err != nil {
				t.Errorf("%v: %v", a.ID, err)
			}
			if !slices.IsSortedFunc(a.Refs, report.Ref.Compare) {
				t.Errorf("%v: references are not sorted: %v", a.ID, a.Refs)
			}
		}
		for range 10 {
			if !bytes.Equal(bytesOf(t, all), bytesOf(t, artifacts(t, u, nil))) {
				t.Fatalf("%s: the same unit gives other bytes", u.Key())
			}
		}
		if after, _ := json.Marshal(u); !bytes.Equal(before, after) {
			t.Errorf("%s was changed", u.Key())
		}
	}
}

// TestNames lists what is made of each unit, and for whom.
func TestNames(t *testing.T) {
	for _, c := range []struct {
		name    string
		unit    ir.Unit
		options map[string]string
		want    string
	}{
		{"mesh", units()[0], nil, `Cluster blackhole
Cluster passthrough
Listener outbound`},
		{"mesh, nothing redirected", units()[0], map[string]string{"listen.shop/x:80": "127.0.0.1:1"}, `Cluster blackhole
Cluster passthrough`},
		{"namespace", units()[1], nil, ``},
		{"service", units()[2], nil, `Cluster reviews.shop:80
RouteConfiguration reviews.shop:80
Listener outbound|reviews.shop:80|10.0.0.1
Cluster reviews.shop:81
RouteConfiguration reviews.shop:81
Listener outbound|reviews.shop:81|10.0.0.1
Cluster reviews.shop:82
Listener outbound|reviews.shop:82|10.0.0.1`},
		{"service in places of its own", units()[2], map[string]string{
			"listen.shop/reviews:80": "127.0.0.1:1,shop/web=127.0.0.1:2", "listen.shop/reviews:82": "[::1]:3"}, `Cluster reviews.shop:80
RouteConfiguration reviews.shop:80
Listener outbound|reviews.shop:80|127.0.0.1
Listener outbound|reviews.shop:80|shop/web for shop/web
Cluster reviews.shop:81
RouteConfiguration reviews.shop:81
Listener outbound|reviews.shop:81|10.0.0.1
Cluster reviews.shop:82
Listener outbound|reviews.shop:82|::1`},
		{"workload", units()[3], nil, `Cluster local|reviews.shop|8080 for shop/reviews
Cluster local|reviews.shop|8081 for shop/reviews
Cluster local|reviews.shop|8082 for shop/reviews
Cluster local|reviews.shop|9000 for shop/reviews
Listener inbound|reviews.shop for shop/reviews`},
		{"workload in places of its own", units()[3], map[string]string{
			"inbound.shop/reviews:8080": "127.0.0.1:1,127.0.0.1:2", "inbound.shop/reviews:7": "127.0.0.1:3,127.0.0.1:4", "inbound.shop/other:8": "127.0.0.1:5,127.0.0.1:6"},
			`Cluster local|reviews.shop|7 for shop/reviews
Listener inbound|reviews.shop|7 for shop/reviews
Cluster local|reviews.shop|8080 for shop/reviews
Listener inbound|reviews.shop|8080 for shop/reviews`},
		{"endpoints", units()[6], nil, `ClusterLoadAssignment reviews.shop:80`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, a := range artifacts(t, c.unit, c.options) {
				line := a.ID.Type[strings.LastIndex(a.ID.Type, ".")+1:] + " " + a.ID.Name
				if a.Audience != (ir.Audience{}) {
					line += " for " + a.Audience.Namespace + "/" + a.Audience.Account
				}
				got = append(got, line)
			}
			if s := strings.Join(got, "\n"); s != c.want {
				t.Errorf("got\n%s\nwant\n%s", s, c.want)
			}
		})
	}
}

func TestFindings(t *testing.T) {
	nowhere := reviews()
	nowhere.Addresses = nil
	s, w := reviews(), guarded()
	for _, c := range []struct {
		name    string
		unit    ir.Unit
		options map[string]string
		want    []report.Code
	}{
		{"no address", ir.Unit{Service: &nowhere}, nil, []report.Code{report.NoClusterAddress}},
		{"an address", ir.Unit{Service: &s}, nil, nil},
		{"bad place to listen", ir.Unit{Service: &s}, map[string]string{"listen.shop/reviews:80": "1"}, []report.Code{report.BadValue}},
		{"bad port to listen", ir.Unit{Service: &s}, map[string]string{"listen.shop/reviews:80": "a:0"}, []report.Code{report.BadValue}},
		{"bad host to listen", ir.Unit{Service: &s}, map[string]string{"listen.shop/reviews:80": "nowhere"}, []report.Code{report.BadValue}},
		{"bad inbound place", ir.Unit{Workload: &w}, map[string]string{"inbound.shop/reviews:8080": "127.0.0.1:1"}, []report.Code{report.BadValue}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, found := envoy.New().Translate(c.unit, translators.Target{Options: c.options})
			var got []report.Code
			for _, f := range found {
				got = append(got, f.Code)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", found, c.want)
			}
		})
	}
}

// TestNothingUnasked looks for what Envoy would do on its own account.
func TestNothingUnasked(t *testing.T) {
	s := reviews()
	for _, a := range artifacts(t, ir.Unit{Service: &s}, nil) {
		c, ok := a.Payload.(*clusterv3.Cluster)
		if !ok {
			continue
		}
		if c.GetOutlierDetection() != nil || c.GetCommonLbConfig().GetHealthyPanicThreshold() == nil || c.GetTransportSocket() == nil {
			t.Errorf("%s ejects, panics or speaks plainly: %v", c.GetName(), c)
		}
	}
	for _, u := range units() {
		for _, a := range artifacts(t, u, nil) {
			l, ok := a.Payload.(*listenerv3.Listener)
			if !ok || u.Workload == nil || !u.Workload.Enforced {
				continue
			}
			for _, c := range append(l.GetFilterChains(), l.GetDefaultFilterChain()) {
				if len(c.GetFilters()) == 0 || !strings.Contains(fmt.Sprint(c), "rbac") {
					t.Errorf("%s: chain %s lets in without rules", l.GetName(), c.GetName())
				}
			}
		}
	}
}
