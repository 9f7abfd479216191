package grpc_test

import (
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/interpret/grpc"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// artifact reads a resource from its JSON.
func artifact(t *testing.T, m proto.Message, text string) translators.Artifact {
	t.Helper()
	if err := protojson.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	named := m.(interface{ GetName() string })
	return translators.Artifact{ID: translators.ID{Name: named.GetName()}, Payload: m}
}

const (
	routerJSON = `{"name": "r", "typedConfig": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}`
	tlsJSON    = `"transportSocket": {"name": "envoy.transport_sockets.tls", "typedConfig": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
		"commonTlsContext": {"tlsCertificateProviderInstance": {"instanceName": "default"}, "validationContext": {"caCertificateProviderInstance": {"instanceName": "default"}}}}}`
)

func routesOf(t *testing.T, routes string) translators.Artifact {
	return artifact(t, &routev3.RouteConfiguration{}, `{"name": "s.ns:80", "virtualHosts": [{"name": "v", "domains": ["*"], "routes": [`+routes+`]}]}`)
}

func clientOf(t *testing.T) translators.Artifact {
	return artifact(t, &listenerv3.Listener{}, `{"name": "s.ns:80", "apiListener": {"apiListener": {"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
		"statPrefix": "s", "rds": {"routeConfigName": "s.ns:80", "configSource": {"ads": {}}}, "httpFilters": [`+routerJSON+`]}}}`)
}

func clusterOf(t *testing.T, name, more string) translators.Artifact {
	return artifact(t, &clusterv3.Cluster{}, `{"name": "`+name+`", "type": "EDS", "edsClusterConfig": {"edsConfig": {"ads": {}}}`+more+`}`)
}

var service = ir.Name{Namespace: "ns", Name: "s"}

func world() interpret.World {
	return interpret.World{Services: map[ir.Name]ir.Service{service: {Namespace: "ns", Name: "s", Ports: []ir.Port{{Number: 80, Protocol: ir.GRPC}}}}}
}

// What grpc-go answers with a NACK (facts on backends, sections 0 and 2).
func TestRefused(t *testing.T) {
	to := `"route": {"cluster": "s.ns:80"}`
	for name, c := range map[string]struct {
		a    translators.Artifact
		want string
	}{
		"segments":                {routesOf(t, `{"match": {"pathSeparatedPrefix": "/a"}, `+to+`}`), "path_separated_prefix"},
		"a bad expression":        {routesOf(t, `{"match": {"safeRegex": {"regex": "a(?=b)"}}, `+to+`}`), "invalid"},
		"weights of nothing":      {routesOf(t, `{"match": {"prefix": ""}, "route": {"weightedClusters": {"clusters": [{"name": "s.ns:80", "weight": 0}]}}}`), "weights that sum up to 0"},
		"weights beyond 32 bits":  {routesOf(t, `{"match": {"prefix": ""}, "route": {"weightedClusters": {"clusters": [{"name": "a", "weight": 4294967295}, {"name": "b", "weight": 1}]}}}`), "weights"},
		"a policy of no retries":  {routesOf(t, `{"match": {"prefix": ""}, "route": {"cluster": "s.ns:80", "retryPolicy": {"retryOn": "cancelled", "numRetries": 0}}}`), "retry_policy"},
		"a cluster of addresses":  {artifact(t, &clusterv3.Cluster{}, `{"name": "s.ns:80", "type": "STATIC"}`), "STATIC"},
		"a random balancer":       {clusterOf(t, "s.ns:80", `, "lbPolicy": "RANDOM"`), "lb_policy"},
		"matches of sockets":      {clusterOf(t, "s.ns:80", `, "transportSocketMatches": [{"name": "x"}]`), "transport_socket_matches"},
		"no check of the server":  {clusterOf(t, "s.ns:80", `, "transportSocket": {"name": "envoy.transport_sockets.tls", "typedConfig": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"}}`), "check"},
		"a listener filter":       {artifact(t, &listenerv3.Listener{}, `{"name": "l", "address": {"socketAddress": {"address": "0.0.0.0", "portValue": 80}}, "listenerFilters": [{"name": "x"}]}`), "listener_filters"},
		"no route but its answer": {artifact(t, &listenerv3.Listener{}, `{"name": "s.ns:80", "apiListener": {"apiListener": {"@type": "type.googleapis.com/`+string((&hcmv3.HttpConnectionManager{}).ProtoReflect().Descriptor().FullName())+`", "statPrefix": "s", "rds": {"routeConfigName": "x", "configSource": {"ads": {}}}}}}`), "router"},
	} {
		_, err := grpc.New(world(), translators.Target{}, []translators.Artifact{c.a})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// The first route that holds counts. A condition on the query makes clients leave a
// route out; one on the method never holds; the lines of a header are one.
func TestRoutes(t *testing.T) {
	all := []translators.Artifact{clientOf(t), clusterOf(t, "s.ns:80", ", "+tlsJSON), clusterOf(t, "other.ns:80", ", "+tlsJSON), clusterOf(t, "blackhole", ""),
		routesOf(t, `{"match": {"prefix": "/", "queryParameters": [{"name": "q", "presentMatch": true}]}, "route": {"cluster": "other.ns:80"}},
			{"match": {"prefix": "/", "headers": [{"name": ":method", "stringMatch": {"exact": "GET"}}]}, "route": {"cluster": "other.ns:80"}},
			{"match": {"prefix": "/", "headers": [{"name": "x", "stringMatch": {"exact": "a,b"}}]}, "route": {"cluster": "other.ns:80"}},
			{"match": {"prefix": "/", "headers": [{"name": "x-bin", "presentMatch": true}]}, "route": {"cluster": "other.ns:80"}},
			{"match": {"path": "/p.S/Slow"}, "route": {"cluster": "s.ns:80", "maxStreamDuration": {"maxStreamDuration": "2s"}}},
			{"match": {"path": "/p.S/Gone"}, "route": {"cluster": "blackhole"}},
			{"match": {"path": "/p.S/Unknown"}, "route": {"cluster": "nobody.ns:80"}},
			{"match": {"path": "/p.S/Moved"}, "redirect": {"hostRedirect": "x"}},
			{"match": {"prefix": ""}, "route": {"cluster": "s.ns:80"}}`)}
	m, err := grpc.New(world(), translators.Target{}, all)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path    string
		headers map[string][]string
		want    string
		after   time.Duration
	}{
		{"/p.S/M?q=1", nil, "ns/s:80 100%", 0},
		{"/p.S/M", map[string][]string{"x": {"a", "b"}}, "ns/other:80 100%", 0},
		{"/p.S/M", map[string][]string{"x": {"a"}}, "ns/s:80 100%", 0},
		{"/p.S/M", map[string][]string{"x-bin": {"a"}}, "ns/s:80 100%", 0},
		{"/p.S/Slow", nil, "ns/s:80 100%", 2 * time.Second},
		{"/x/../p.S/Slow", nil, "ns/s:80 100%", 0}, // not normalised
		{"/p.S/Gone", nil, "status 503", 0},
		{"/p.S/Unknown", nil, "status 503", 0},
		{"/p.S/Moved", nil, "status 503", 0},
	} {
		d := m.Route(semantics.Request{Service: service, Port: 80, Method: "GET", Path: c.path, Headers: c.headers}).Decision
		if got := semantics.Outcome(d); got != c.want || d.Timeout.Request != c.after {
			t.Errorf("%s %v: %s after %s, want %s after %s", c.path, c.headers, got, d.Timeout.Request, c.want, c.after)
		}
	}
}

// A call that every share of a route would fail with one status hears that status,
// whichever it is; where some are sent on, the others keep theirs.
func TestFaults(t *testing.T) {
	abort := func(cluster string, status string) string {
		return `{"name": "` + cluster + `", "weight": 1, "typedPerFilterConfig": {"envoy.filters.http.fault": {"@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
			"abort": {"httpStatus": ` + status + `, "percentage": {"numerator": 100}}}}}`
	}
	route := func(path string, clusters ...string) string {
		return `{"match": {"path": "` + path + `"}, "route": {"weightedClusters": {"clusters": [` + strings.Join(clusters, ", ") + `]}}}`
	}
	client := artifact(t, &listenerv3.Listener{}, `{"name": "s.ns:80", "apiListener": {"apiListener": {"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
		"statPrefix": "s", "rds": {"routeConfigName": "s.ns:80", "configSource": {"ads": {}}}, "httpFilters": [
		{"name": "envoy.filters.http.fault", "typedConfig": {"@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"}}, `+routerJSON+`]}}}`)
	m, err := grpc.New(world(), translators.Target{}, []translators.Artifact{client, clusterOf(t, "s.ns:80", ", "+tlsJSON), clusterOf(t, "blackhole", ""),
		routesOf(t, strings.Join([]string{route("/404", abort("blackhole", "404")), route("/500", abort("blackhole", "500")),
			route("/both", abort("blackhole", "404"), abort("s.ns:80", "404")), route("/part", abort("blackhole", "404"), `{"name": "s.ns:80", "weight": 1}`)}, ", "))})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/404": "status 404", "/500": "status 500", "/both": "status 404",
		"/part": ":0 50% (fails), ns/s:80 50%", "/404/x": "status 503"} {
		if got := semantics.Outcome(m.Route(semantics.Request{Service: service, Port: 80, Method: "POST", Path: path}).Decision); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
