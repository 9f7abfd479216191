package envoy_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/xds"
)

// insideEnv says that the test runs in a network of its own already.
const insideEnv = "MESHKNOT_TEST_NETWORK"

// network is a Service address and a pod address, and the redirection that a
// sidecar's pod has: what goes out to the one, what comes in at the other. What
// the proxy itself sends to the pod is left alone; its source tells it.
const network = `
table ip mesh {
  chain out {
    type nat hook output priority -100
    ip daddr 10.96.0.0/16 meta l4proto tcp redirect to :15001
    ip saddr != 127.0.0.6 ip daddr 10.1.0.0/16 meta l4proto tcp redirect to :15006
  }
}
`

// unproven skips loudly; where everything real is required it fails.
func unproven(t *testing.T, why error) {
	t.Helper()
	if os.Getenv("REQUIRE_REAL") == "1" {
		t.Fatalf("REQUIRE_REAL=1, and redirection cannot be proven: %v (Debian: make nft)", why)
	}
	t.Skipf("SKIPPED, REDIRECTION NOT PROVEN: %v", why)
}

// TestRedirection runs caller and server as they stand in pods: on the virtual
// listeners, with packets redirected, in a network of its own that an
// unprivileged user may have.
func TestRedirection(t *testing.T) {
	lab.Need(t, lab.Envoy)
	path, err := lab.Binary(lab.Envoy)
	must(t, err)
	if os.Getenv(insideEnv) == "" {
		for _, tool := range []string{"unshare", "nft", "ip"} {
			if _, err := exec.LookPath(tool); err != nil {
				unproven(t, err)
			}
		}
		if said, err := exec.Command("unshare", "-Urn", "true").CombinedOutput(); err != nil {
			unproven(t, fmt.Errorf("no network of our own: %w: %s", err, said))
		}
		again := exec.Command("unshare", "-Urn", "--kill-child", os.Args[0], "-test.run=^TestRedirection$", "-test.v")
		again.Env = append(os.Environ(), insideEnv+"=1", "MESHKNOT_ENVOY="+path)
		if said, err := again.CombinedOutput(); err != nil || !strings.Contains(string(said), "--- PASS: TestRedirection") {
			t.Errorf("%v:\n%s", err, said)
		}
		return
	}
	command(t, "", "ip", "link", "set", "lo", "up")
	command(t, "", "ip", "address", "add", "10.96.0.7/32", "dev", "lo")
	command(t, "", "ip", "address", "add", "10.1.0.1/32", "dev", "lo")
	command(t, network, "nft", "-f", "-")
	redirected(t)
}

func command(t *testing.T, input, name string, args ...string) {
	t.Helper()
	c := exec.Command(name, args...)
	c.Stdin = strings.NewReader(input)
	if said, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, said)
	}
}

func redirected(t *testing.T) {
	l := newRig(t)
	reply := func(name string, port int32) {
		at, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		must(t, err)
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%s %s", name, r.RequestURI) })}
		go s.Serve(at) // it ends when the test does
		t.Cleanup(func() { s.Close() })
	}
	reply("app", 8080)
	reply("unknown", 8099)
	s := service("reviews", 80, ir.HTTP)
	s.Service.Addresses = []string{"10.96.0.7"}
	e := endpoint("reviews", 80, 8080, true)
	e.Endpoints.Ports[0].Endpoints[0].Address = "10.1.0.1"
	guarded := ir.Unit{Workload: &ir.Workload{Namespace: "shop", Account: "reviews", Enforced: true,
		Ports:  []ir.WorkloadPort{{Number: 8080, Protocol: ir.HTTP}},
		Grants: []ir.Grant{grant("web", []int32{8080}, web, match(prefix("/public")))}, Probes: []ir.Probe{{Port: 8080, Protocol: ir.HTTP, Path: "/healthz"}}}}
	serve := func(w ir.Unit) {
		l.serve(translators.Target{}, []ir.Unit{mesh, s, e, w}, func(a *translators.Artifact) {
			if a.ID.Name == "outbound" { // both proxies share a network here, and one alone can have the port
				a.Audience = ir.Audience{Namespace: web.Namespace, Account: web.Account}
			}
		})
	}
	serve(guarded)
	l.proxy(web)
	l.proxy(reviews, func(b *bootstrapv3.Bootstrap) {
		b.ClusterManager = &bootstrapv3.ClusterManager{UpstreamBindConfig: &corev3.BindConfig{
			SourceAddress: xds.Address("127.0.0.6", 0).GetSocketAddress()}}
	})
	id := l.ca.client(web.URI("cluster.local"), "http/1.1")
	for _, c := range []struct {
		name, address string
		mtls          bool
		request       string
		want          int
	}{
		{"through both proxies", "10.96.0.7:80", false, "GET /public", 200},
		{"through both proxies, not granted", "10.96.0.7:80", false, "GET /secret", 403},
		{"straight to the pod", "10.1.0.1:8080", true, "GET /public", 200},
		{"straight to the pod, no identity", "10.1.0.1:8080", false, "GET /public", 403},
		{"a probe", "10.1.0.1:8080", false, "GET /healthz", 200},
		{"a port that no Service has", "10.1.0.1:8099", false, "GET /", 0},
		{"a port that no Service has, with identity", "10.1.0.1:8099", true, "GET /", 0},
		{"the virtual listener itself", "10.1.0.1:15006", false, "GET /", 0},
		{"the caller's virtual listener itself", "127.0.0.1:15001", false, "GET /", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			who := id
			if !c.mtls {
				who = nil
			}
			if status, body := askAt(t, c.address, who, c.request); status != c.want {
				t.Errorf("status %d %s, want %d", status, body, c.want)
			}
		})
	}
	open := *guarded.Workload
	open.Enforced, open.Grants = false, nil
	serve(ir.Unit{Workload: &open})
	l.await(reviews)
	eventually(t, "answers of an open workload on a port that no Service has", func() bool {
		status, body := askAt(t, "10.1.0.1:8099", nil, "GET /")
		return status == 200 && name(body) == "unknown"
	})
	begin := time.Now() // a call to the listener itself must not come back to it without end
	if status, body := askAt(t, "10.1.0.1:15006", nil, "GET /"); status != 0 || time.Since(begin) > 3*time.Second {
		t.Errorf("the virtual listener of an open workload: status %d %s after %s", status, body, time.Since(begin))
	}
	unknown := *guarded.Workload
	unknown.Ports, unknown.Probes = nil, nil
	unknown.Grants = []ir.Grant{grant("web", []int32{ir.AnyPort}, web, match(prefix("/public"))), grant("thief", []int32{ir.AnyPort}, thief, ir.MatchAll(report.Ref{}))}
	serve(ir.Unit{Workload: &unknown})
	l.await(reviews)
	for _, c := range []struct {
		request string
		mtls    bool
		want    int
	}{{"GET /public", true, 200}, {"GET /secret", true, 403}, {"GET /public", false, 403}} {
		eventually(t, fmt.Sprintf("%d for %s on a port that is not known", c.want, c.request), func() bool {
			who := id
			if !c.mtls {
				who = nil
			}
			status, _ := askAt(t, "10.1.0.1:8099", who, c.request)
			return status == c.want
		})
	}
}
