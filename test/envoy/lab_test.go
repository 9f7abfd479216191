// Package envoy_test holds translated configuration against a real Envoy: what
// it accepts, where it sends calls and which it denies.
package envoy_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	cachev3 "github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/envoy"
	"github.com/meshknot/meshknot/translators/ir"
)

// binary finds Envoy, or skips the test where there is none and none is demanded.
func binary(t *testing.T) string {
	path := os.Getenv("MESHKNOT_ENVOY")
	if path == "" {
		path = filepath.Join("..", "..", ".cache", "envoy", "bin", "envoy")
	}
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("REQUIRE_REAL") == "1" {
			t.Fatalf("REQUIRE_REAL=1, and there is no Envoy: %v (make envoy installs one)", err)
		}
		t.Skipf("SKIPPED, NOTHING PROVEN: there is no Envoy: %v (make envoy installs one)", err)
	}
	return path
}

// lab is a control plane and the proxies that it serves.
type lab struct {
	t     *testing.T
	envoy string
	ca    *authority
	cache cachev3.SnapshotCache
	ads   string // address

	mu    sync.Mutex
	acked map[string]string // by node and type URL: the version
	nacks []string
}

func newLab(t *testing.T) *lab {
	l := &lab{t: t, envoy: binary(t), ca: newAuthority(t), acked: map[string]string{}}
	l.cache = cachev3.NewSnapshotCache(false, cachev3.IDHash{}, nil)
	ctx, stop := context.WithCancel(context.Background())
	s := grpc.NewServer()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(s, serverv3.NewServer(ctx, l.cache, serverv3.CallbackFuncs{StreamRequestFunc: l.heard}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	l.ads = listener.Addr().String()
	go s.Serve(listener) //nolint:errcheck // it ends when the test does
	t.Cleanup(func() {
		stop()
		s.Stop()
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, n := range l.nacks {
			t.Errorf("refused by Envoy: %s", n)
		}
	})
	return l
}

// heard notes what a proxy has taken over and what it has refused.
func (l *lab) heard(_ int64, r *discoveryv3.DiscoveryRequest) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := r.GetErrorDetail(); e != nil {
		l.nacks = append(l.nacks, fmt.Sprintf("%s %s: %s", r.GetNode().GetId(), r.GetTypeUrl(), e.GetMessage()))
		return nil
	}
	l.acked[r.GetNode().GetId()+" "+r.GetTypeUrl()] = r.GetVersionInfo()
	return nil
}

// serve translates units and gives each proxy what it is in the audience of.
func (l *lab) serve(version string, target translators.Target, units []ir.Unit, proxies ...ir.Identity) {
	l.t.Helper()
	var all []translators.Artifact
	for _, u := range units {
		artifacts, findings := envoy.New().Translate(u, target)
		for _, f := range findings {
			l.t.Fatalf("%s: %s", u.Key(), f.Message)
		}
		all = append(all, artifacts...)
	}
	for _, id := range proxies {
		resources := map[string][]types.Resource{}
		for _, a := range all {
			if a.Audience.Includes(id) {
				resources[a.ID.Type] = append(resources[a.ID.Type], a.Payload.(types.Resource))
			}
		}
		snapshot, err := cachev3.NewSnapshot(version, resources)
		must(l.t, err)
		must(l.t, l.cache.SetSnapshot(context.Background(), id.Account, snapshot))
	}
}

const listenerType = "type.googleapis.com/envoy.config.listener.v3.Listener"

// proxy starts an Envoy with an identity, in a way that more may change, and
// waits until it has the listeners of a version.
func (l *lab) proxy(id ir.Identity, version string, more ...func(*bootstrapv3.Bootstrap)) {
	l.t.Helper()
	dir := l.t.TempDir()
	cert, key := l.ca.issue(id.URI("cluster.local"))
	for name, content := range map[string][]byte{"cert.pem": cert, "key.pem": key, "ca.pem": l.ca.pem} {
		must(l.t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	path := filepath.Join(dir, "bootstrap.json")
	b := bootstrap(l.t, id.Account, l.ads, dir)
	for _, change := range more {
		change(b)
	}
	text, err := protojson.Marshal(b)
	must(l.t, err)
	must(l.t, os.WriteFile(path, text, 0o600))
	l.run(dir, "-c", path, "--concurrency", "1", "--use-dynamic-base-id", "-l", "warning", "--drain-time-s", "1")
	l.await(id, version)
}

// run starts Envoy and ends it with the test.
func (l *lab) run(dir string, args ...string) {
	l.t.Helper()
	log, err := os.Create(filepath.Join(dir, "envoy.log"))
	must(l.t, err)
	cmd := exec.Command(l.envoy, args...)
	cmd.Stdout, cmd.Stderr = log, log
	ownGroup(cmd)
	must(l.t, cmd.Start())
	l.t.Cleanup(func() {
		killGroup(cmd)
		cmd.Wait() //nolint:errcheck // it was killed
		if text, _ := os.ReadFile(log.Name()); l.t.Failed() {
			l.t.Logf("Envoy said:\n%s", text)
		}
	})
}

// await waits until a proxy has taken over the listeners of a version.
func (l *lab) await(id ir.Identity, version string) {
	l.t.Helper()
	eventually(l.t, fmt.Sprintf("listeners of version %s at %s", version, id.Account), func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.acked[id.Account+" "+listenerType] == version || len(l.nacks) > 0
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("there were never %s", what)
}

// freePort finds a port that nobody listens on.
func freePort(t *testing.T) int32 {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return int32(l.Addr().(*net.TCPAddr).Port)
}

func local(port int32) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// app is a process behind a proxy: it answers with its name and with the
// request's own words, as they arrived.
func app(t *testing.T, name string) int32 {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s", name, r.RequestURI, r.Header.Get("x-forwarded-client-cert"))
	})}
	go s.Serve(l) //nolint:errcheck // it ends when the test does
	t.Cleanup(func() { s.Close() })
	return int32(l.Addr().(*net.TCPAddr).Port)
}

// greeter is a process of a protocol in which the server speaks first.
func greeter(t *testing.T, name string) int32 {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				fmt.Fprintf(c, "hello from %s\n", name)
				c.Read(make([]byte, 100)) //nolint:errcheck // until the caller goes
			}()
		}
	}()
	return int32(l.Addr().(*net.TCPAddr).Port)
}

// name cuts the name off what app answered.
func name(body string) string {
	first, _, _ := strings.Cut(body, " ")
	return first
}
