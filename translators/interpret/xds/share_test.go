package xds

import (
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	faultcommonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/fault/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
)

// The endpoints of a cluster are those of a port of a Service, or of nobody's.
func TestServicePort(t *testing.T) {
	reviews := ir.Name{Namespace: "shop", Name: "reviews"}
	for name, want := range map[string]ir.ServicePort{
		"reviews.shop:9080": {Service: reviews, Port: 9080}, "reviews.shop": {Service: reviews},
		"blackhole": {}, "reviews.shop:http": {}, "reviews.shop:99999999999": {},
	} {
		if got := ServicePort(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// A resource that is not valid, or that calls itself otherwise, is refused.
func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name    string
		payload any
		want    string
	}{
		{"a.ns", &clusterv3.Cluster{Name: "a.ns"}, ""},
		{"a.ns", &endpointv3.ClusterLoadAssignment{ClusterName: "a.ns"}, ""},
		{"a.ns", &clusterv3.Cluster{Name: "b.ns"}, `calls itself "b.ns"`},
		{"a.ns", &endpointv3.ClusterLoadAssignment{ClusterName: "b.ns"}, `calls itself "b.ns"`},
		{"", &clusterv3.Cluster{}, "Name"},
		{"a.ns", map[string]any{"name": "a.ns"}, "no resource"},
	} {
		err := Check(translators.Artifact{ID: translators.ID{Name: c.name}, Payload: c.payload})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v: %v, want %q", c.payload, err, c.want)
		}
	}
}

// A fault answers every request, or none, or is not understood.
func TestFault(t *testing.T) {
	fault := func(status, numerator uint32, of typev3.FractionalPercent_DenominatorType) *faultv3.HTTPFault {
		return &faultv3.HTTPFault{Abort: &faultv3.FaultAbort{ErrorType: &faultv3.FaultAbort_HttpStatus{HttpStatus: status},
			Percentage: &typev3.FractionalPercent{Numerator: numerator, Denominator: of}}}
	}
	whole := &typev3.FractionalPercent{Numerator: 100}
	for _, c := range []struct {
		f    *faultv3.HTTPFault
		want int
		err  string
	}{
		{&faultv3.HTTPFault{}, 0, ""},
		{fault(503, 100, typev3.FractionalPercent_HUNDRED), 503, ""},
		{fault(404, 1_000_000, typev3.FractionalPercent_MILLION), 404, ""},
		{fault(404, 0, typev3.FractionalPercent_MILLION), 0, ""},
		{fault(404, 9_999, typev3.FractionalPercent_TEN_THOUSAND), 0, "some requests"},
		{fault(99, 100, typev3.FractionalPercent_HUNDRED), 0, "200"},
		{&faultv3.HTTPFault{Abort: &faultv3.FaultAbort{ErrorType: &faultv3.FaultAbort_GrpcStatus{GrpcStatus: 14}, Percentage: whole}}, 0, "without a status"},
		{&faultv3.HTTPFault{UpstreamCluster: "x"}, 0, "conditions"},
		{&faultv3.HTTPFault{Delay: &faultcommonv3.FaultDelay{FaultDelaySecifier: &faultcommonv3.FaultDelay_HeaderDelay_{}}}, 0, "delay"},
	} {
		packed, err := anypb.New(c.f)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Fault(packed)
		if got != c.want || c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%v: %d, %v, want %d, %q", c.f, got, err, c.want, c.err)
		}
	}
}

// Of the servers that a name is asked of, the one that has another is refused.
func TestSecured(t *testing.T) {
	web, api := ir.Identity{Namespace: "shop", Account: "web"}, ir.Identity{Namespace: "shop", Account: "api"}
	var s Secured
	if got := s.Refuses([]ir.Identity{web, api}, "d"); got != "" {
		t.Errorf("without a name %s", got)
	}
	if err := s.Expect(exact(web.URI("d"))); err != nil {
		t.Fatal(err)
	}
	if s.Refuses([]ir.Identity{web}, "d") != "" || !strings.Contains(s.Refuses([]ir.Identity{web, api}, "d"), "sa/api") || s.Refuses([]ir.Identity{web}, "e") == "" {
		t.Errorf("%q, %q, %q", s.Refuses([]ir.Identity{web}, "d"), s.Refuses([]ir.Identity{web, api}, "d"), s.Refuses([]ir.Identity{web}, "e"))
	}
}
