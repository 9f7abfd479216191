package grpc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	cachev3 "github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	xdscreds "google.golang.org/grpc/credentials/xds"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/xds"

	"github.com/meshknot/meshknot/translators"
	backend "github.com/meshknot/meshknot/translators/grpc"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

var (
	web     = ir.Identity{Namespace: "shop", Account: "web"}
	thief   = ir.Identity{Namespace: "shop", Account: "thief"}
	reviews = ir.Identity{Namespace: "shop", Account: "reviews"}
	all     = ir.MatchAll(report.Ref{})
)

const (
	unary = "/grpc.testing.TestService/UnaryCall"
	empty = "/grpc.testing.TestService/EmptyCall"
)

// mesh is a control plane with real gRPC clients and servers around it.
type mesh struct {
	t     *testing.T
	dir   string
	ca    *x509.Certificate
	key   *ecdsa.PrivateKey
	cache cachev3.SnapshotCache
	ads   string
	mu    sync.Mutex
	nacks []string
	// serving are closed by servers that have been told whom to let in.
	serving []chan struct{}
}

// byAccount keys the cache by the account that a node says it is of.
type byAccount struct{}

func (byAccount) ID(n *corev3.Node) string { return n.GetId() }

func newMesh(t *testing.T) *mesh {
	m := &mesh{t: t, dir: t.TempDir(), cache: cachev3.NewSnapshotCache(false, byAccount{}, nil)}
	m.authority()
	ctx, stop := context.WithCancel(context.Background())
	s := grpc.NewServer()
	heard := serverv3.CallbackFuncs{StreamRequestFunc: func(_ int64, r *discoveryv3.DiscoveryRequest) error {
		if e := r.GetErrorDetail(); e != nil {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.nacks = append(m.nacks, r.GetTypeUrl()+": "+e.GetMessage())
		}
		return nil
	}}
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(s, serverv3.NewServer(ctx, m.cache, heard))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	m.ads = l.Addr().String()
	go s.Serve(l) // it ends when the test does
	t.Cleanup(func() {
		stop()
		s.Stop()
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, n := range m.nacks {
			t.Errorf("refused by gRPC: %s", n)
		}
	})
	return m
}

func (m *mesh) authority() {
	m.key = newKey(m.t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &m.key.PublicKey, m.key)
	must(m.t, err)
	m.ca, err = x509.ParseCertificate(der)
	must(m.t, err)
	m.write("ca.pem", "CERTIFICATE", der)
}

func (m *mesh) write(name, kind string, der []byte) {
	must(m.t, os.WriteFile(filepath.Join(m.dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

// issue makes a certificate for an identity, once: who reads one half of a pair
// while the other is being written has nothing until it looks again.
func (m *mesh) issue(id ir.Identity) {
	if _, err := os.Stat(filepath.Join(m.dir, id.Account+".key")); err == nil {
		return
	}
	key := newKey(m.t)
	uri, err := url.Parse(id.URI("cluster.local"))
	must(m.t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), URIs: []*url.URL{uri},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}, m.ca, &key.PublicKey, m.key)
	must(m.t, err)
	m.write(id.Account+".pem", "CERTIFICATE", der)
	der, err = x509.MarshalPKCS8PrivateKey(key)
	must(m.t, err)
	m.write(id.Account+".key", "PRIVATE KEY", der)
}

// bootstrap tells an application who it is and whom to ask.
func (m *mesh) bootstrap(id ir.Identity) []byte {
	m.issue(id)
	file := func(name string) string { return filepath.Join(m.dir, name) }
	text, err := json.Marshal(map[string]any{
		"xds_servers": []any{map[string]any{"server_uri": m.ads, "channel_creds": []any{map[string]any{"type": "insecure"}}, "server_features": []any{"xds_v3"}}},
		"node":        map[string]any{"id": id.Account},
		"certificate_providers": map[string]any{backend.CertificateInstance: map[string]any{"plugin_name": "file_watcher", "config": map[string]any{
			"certificate_file": file(id.Account + ".pem"), "private_key_file": file(id.Account + ".key"),
			"ca_certificate_file": file("ca.pem"), "refresh_interval": "600s"}}},
		"server_listener_resource_name_template": backend.ServerListenerTemplate(id),
	})
	must(m.t, err)
	return text
}

// serve translates units and gives each application what it is in the audience of.
func (m *mesh) serve(version string, options map[string]string, units ...ir.Unit) {
	m.t.Helper()
	for _, id := range []ir.Identity{web, thief, reviews} {
		resources := map[string][]types.Resource{}
		for _, u := range units {
			artifacts, findings := backend.New().Translate(u, translators.Target{Options: options})
			if len(findings) > 0 {
				m.t.Fatal(findings)
			}
			for _, a := range artifacts {
				if a.Audience.Includes(id) {
					resources[a.ID.Type] = append(resources[a.ID.Type], a.Payload.(types.Resource))
				}
			}
		}
		s, err := cachev3.NewSnapshot(version, resources)
		must(m.t, err)
		must(m.t, m.cache.SetSnapshot(context.Background(), id.Account, s))
	}
	for _, s := range m.serving {
		select {
		case <-s:
		case <-time.After(10 * time.Second): // it is not told anything, which some tests are about
		}
	}
}

// server is an application that answers with its name.
type server struct {
	testgrpc.UnimplementedTestServiceServer
	name string
}

func (s server) UnaryCall(ctx context.Context, _ *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
	if d, err := time.ParseDuration(strings.Join(metadata.ValueFromIncomingContext(ctx, "x-sleep"), "")); err == nil {
		time.Sleep(d)
	}
	return &testgrpc.SimpleResponse{Hostname: s.name}, nil
}

func (s server) EmptyCall(context.Context, *testgrpc.Empty) (*testgrpc.Empty, error) {
	return &testgrpc.Empty{}, nil
}

// start runs an application of the account reviews and returns its port.
func (m *mesh) start(name string, bootstrap []byte) int32 {
	creds, err := xdscreds.NewServerCredentials(xdscreds.ServerOptions{FallbackCreds: insecure.NewCredentials()})
	must(m.t, err)
	serving := make(chan struct{})
	var once sync.Once
	s, err := xds.NewGRPCServer(grpc.Creds(creds), xds.BootstrapContentsForTesting(bootstrap),
		xds.ServingModeCallback(func(_ net.Addr, args xds.ServingModeChangeArgs) {
			if args.Mode == connectivity.ServingModeServing {
				once.Do(func() { close(serving) })
			}
		}))
	must(m.t, err)
	m.serving = append(m.serving, serving)
	testgrpc.RegisterTestServiceServer(s, server{name: name})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(m.t, err)
	go s.Serve(l) // it ends when the test does
	m.t.Cleanup(s.Stop)
	return int32(l.Addr().(*net.TCPAddr).Port)
}

// client is an application with an identity that calls a name.
func (m *mesh) client(id ir.Identity, host string) testgrpc.TestServiceClient {
	resolver, err := xds.NewXDSResolverWithConfigForTesting(m.bootstrap(id))
	must(m.t, err)
	creds, err := xdscreds.NewClientCredentials(xdscreds.ClientOptions{FallbackCreds: insecure.NewCredentials()})
	must(m.t, err)
	c, err := grpc.NewClient("xds:///"+host, grpc.WithResolvers(resolver), grpc.WithTransportCredentials(creds))
	must(m.t, err)
	m.t.Cleanup(func() { c.Close() })
	return testgrpc.NewTestServiceClient(c)
}

func call(c testgrpc.TestServiceClient, headers ...string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	reply, err := c.UnaryCall(metadata.AppendToOutgoingContext(ctx, headers...), &testgrpc.SimpleRequest{})
	if err != nil {
		return status.Code(err).String()
	}
	return reply.GetHostname()
}

func callEmpty(c testgrpc.TestServiceClient, headers ...string) codes.Code {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := c.EmptyCall(metadata.AppendToOutgoingContext(ctx, headers...), &testgrpc.Empty{})
	return status.Code(err)
}

func share(name string, weight uint32, invalid string) ir.Backend {
	return ir.Backend{Service: ir.Name{Namespace: "shop", Name: name}, Port: 80, Weight: weight, Invalid: invalid, Servers: []ir.Identity{reviews}}
}

func service(name string, routes ...ir.Route) ir.Unit {
	routes = append(routes, ir.Route{Name: "default", Matches: []ir.Match{all}, Backends: []ir.Backend{share(name, 1, "")}})
	return ir.Unit{Service: &ir.Service{Namespace: "shop", Name: name, Ports: []ir.Port{{Number: 80, Protocol: ir.GRPC, Routes: routes}}}}
}

func endpoint(name string, at int32, ready bool) ir.Unit {
	return ir.Unit{Endpoints: &ir.Endpoints{Namespace: "shop", Name: name,
		Ports: []ir.EndpointsPort{{Number: 80, Endpoints: []ir.Endpoint{{Address: "127.0.0.1", Port: at, Ready: ready}}}}}}
}

func serves(options map[string]string, port int32) {
	options[fmt.Sprintf("serve.shop/reviews:%d", port)] = fmt.Sprintf("127.0.0.1:%d", port)
}

// TestSplit lets a real client share its calls between real servers.
func TestSplit(t *testing.T) {
	m := newMesh(t)
	b := m.bootstrap(reviews)
	v1, v2 := m.start("v1", b), m.start("v2", b)
	options := map[string]string{}
	serves(options, v1)
	serves(options, v2)
	match := func(path ir.StringMatch, headers ...ir.HeaderMatch) ir.Match {
		return ir.Match{Path: path, Methods: []string{ir.AnyMethod}, Headers: headers}
	}
	beta := []ir.Match{
		match(ir.StringMatch{Kind: ir.MatchAny}, ir.HeaderMatch{Name: "x-beta", Value: ir.StringMatch{Kind: ir.MatchPrefix, Value: "y"}}),
		{Path: ir.StringMatch{Kind: ir.MatchAny}, Methods: []string{"GET"}}, // no call is a GET
	}
	units := []ir.Unit{{Mesh: &ir.Mesh{}},
		{Workload: &ir.Workload{Namespace: "shop", Account: "reviews",
			Ports: []ir.WorkloadPort{{Number: v1, Protocol: ir.GRPC}, {Number: v2, Protocol: ir.GRPC}}}},
		service("v1"), endpoint("v1", v1, true), service("v2"), endpoint("v2", v2, true), service("late"), endpoint("late", v2, false),
	}
	cases := []struct {
		name  string
		route ir.Route
		n     int
		say   []string
		want  map[string]float64
	}{
		{"four to one", ir.Route{Matches: []ir.Match{all}, Backends: []ir.Backend{share("v1", 80, ""), share("v2", 20, "")}}, 2000, nil, map[string]float64{"v1": .8, "v2": .2}},
		{"one to nothing", ir.Route{Matches: []ir.Match{all}, Backends: []ir.Backend{share("v1", 0, ""), share("v2", 7, "")}}, 100, nil, map[string]float64{"v2": 1}},
		{"a missing backend", ir.Route{Matches: []ir.Match{all}, Backends: []ir.Backend{share("v1", 1, ""), share("v3", 1, "gone")}}, 1000, nil, map[string]float64{"v1": .5, "Unknown": .5}},
		{"nothing but missing", ir.Route{Matches: []ir.Match{all}, Backends: []ir.Backend{share("v3", 1, "gone")}}, 20, nil, map[string]float64{"Unknown": 1}},
		{"an unready backend", ir.Route{Matches: []ir.Match{all}, Backends: []ir.Backend{share("v1", 1, ""), share("late", 1, "")}}, 1000, nil, map[string]float64{"v1": .5, "Unavailable": .5}},
		{"header", ir.Route{Matches: beta, Backends: []ir.Backend{share("v2", 1, "")}}, 20, []string{"x-beta", "yes"}, map[string]float64{"v2": 1}},
		{"no header", ir.Route{Matches: beta, Backends: []ir.Backend{share("v2", 1, "")}}, 20, nil, map[string]float64{"v1": 1}},
		{"path", ir.Route{Matches: []ir.Match{match(ir.StringMatch{Kind: ir.MatchSuffix, Value: "/UnaryCall"})}, Backends: []ir.Backend{share("v2", 1, "")}}, 20, nil, map[string]float64{"v2": 1}},
		{"other path", ir.Route{Matches: []ir.Match{match(ir.StringMatch{Kind: ir.MatchRegex, Value: "/[a-z]+"})}, Backends: []ir.Backend{share("v2", 1, "")}}, 20, nil, map[string]float64{"v1": 1}},
	}
	for i, c := range cases {
		units = append(units, service(fmt.Sprintf("root-%d", i), c.route), endpoint(fmt.Sprintf("root-%d", i), v1, true))
	}
	m.serve("1", options, units...)
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			client := m.client(web, fmt.Sprintf("root-%d.shop:80", i))
			got := map[string]int{}
			for range c.n {
				got[call(client, c.say...)]++
			}
			for who, p := range c.want {
				mean := p * float64(c.n)
				if slack := 3.9 * math.Sqrt(mean*(1-p)); math.Abs(float64(got[who])-mean) > slack {
					t.Errorf("%v, want %.0f of %s give or take %.0f", got, mean, who, slack)
				}
			}
			for who := range got {
				if _, ok := c.want[who]; !ok {
					t.Errorf("%v, want no %s", got, who)
				}
			}
		})
	}
}

// TestAccess calls a guarded real server with real certificates.
func TestAccess(t *testing.T) {
	m := newMesh(t)
	at := m.start("app", m.bootstrap(reviews))
	options := map[string]string{}
	serves(options, at)
	grant := func(name string, id ir.Identity, matches ...ir.Match) ir.Grant {
		return ir.Grant{Name: ir.Name{Namespace: "shop", Name: name}, Sources: []ir.Source{{Identity: id}}, Ports: []ir.GrantPort{{Number: at}}, Matches: matches}
	}
	exact := func(path string, methods ...string) ir.Match {
		return ir.Match{Path: ir.StringMatch{Kind: ir.MatchExact, Value: path}, Methods: methods}
	}
	header := ir.Match{Path: ir.StringMatch{Kind: ir.MatchAny}, Methods: []string{ir.AnyMethod},
		Headers: []ir.HeaderMatch{{Name: "x-role", Value: ir.StringMatch{Kind: ir.MatchRegex, Value: "a.*z"}}}}
	w := ir.Workload{Namespace: "shop", Account: "reviews", Enforced: true, Ports: []ir.WorkloadPort{{Number: at, Protocol: ir.GRPC}}}
	serve := func(version string, grants ...ir.Grant) {
		w.Grants = grants
		m.serve(version, options, ir.Unit{Mesh: &ir.Mesh{}}, ir.Unit{Workload: &w}, service("reviews"), endpoint("reviews", at, true))
	}
	serve("1", grant("web", web, exact(unary, "POST")), grant("thief", thief, exact(unary, "GET"), header))
	webClient, thiefClient := m.client(web, "reviews.shop:80"), m.client(thief, "reviews.shop:80")
	for _, c := range []struct{ name, got, want string }{
		{"granted", call(webClient), "app"},
		{"not this path", callEmpty(webClient).String(), "PermissionDenied"},
		{"not this caller", call(thiefClient), "PermissionDenied"},
		{"header", call(thiefClient, "x-role", "abcz"), "app"},
		{"other header", call(thiefClient, "x-role", "abc"), "PermissionDenied"},
		{"header over two lines", call(thiefClient, "x-role", "a", "x-role", "z"), "PermissionDenied"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", c.name, c.got, c.want)
		}
	}
	plain, err := grpc.NewClient(fmt.Sprintf("127.0.0.1:%d", at), grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	defer plain.Close()
	if got := call(testgrpc.NewTestServiceClient(plain)); got == "app" {
		t.Error("a caller without identity was answered")
	}
	serve("2")
	for end := time.Now().Add(10 * time.Second); call(webClient) != "PermissionDenied"; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a grant that was removed still lets in")
		}
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
