// Package envoy_test holds translated configuration against a real Envoy: what
// it accepts, where it sends calls and which it denies.
package envoy_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/meshknot/meshknot/internal/bootstrap"
	server "github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/envoy"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/xds"
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

// lab is a control plane, the one of the product, and the proxies that it serves.
type lab struct {
	t      *testing.T
	envoy  string // the binary
	ca     authority
	server *server.Server
	ads    string // its address
}

func newLab(t *testing.T) *lab {
	l := &lab{t: t, envoy: binary(t), ca: newAuthority(t), server: server.New(server.Options{})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	l.ads = listener.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		if s := l.server.Status(); s.Nacks > 0 {
			t.Errorf("Envoy refused %d times, last %s: %s", s.Nacks, s.LastNack.TypeURL, s.LastNack.Text)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return l
}

// serve translates units and gives each proxy what it is in the audience of.
// change, if any, may do what no target asks for.
func (l *lab) serve(target translators.Target, units []ir.Unit, change ...func(*translators.Artifact)) {
	l.t.Helper()
	var pieces []translators.Piece
	for _, u := range units {
		artifacts, findings := envoy.New().Translate(u, target)
		pieces = append(pieces, translators.Piece{Artifacts: artifacts, Findings: findings})
	}
	out := translators.Assemble(envoy.New(), target, pieces, nil)
	for _, f := range out.Findings {
		l.t.Fatalf("%s: %s", f.Source, f.Message)
	}
	all := out.Artifacts
	for _, c := range change {
		for i := range all {
			c(&all[i])
		}
	}
	l.update(units, all)
}

func (l *lab) update(units []ir.Unit, artifacts []translators.Artifact) {
	l.t.Helper()
	must(l.t, l.server.Update(server.State{Units: units, Artifacts: map[string][]translators.Artifact{"envoy": artifacts}}))
}

// proxy starts an Envoy with an identity, in a way that more may change, and
// waits until it has what is served.
func (l *lab) proxy(id ir.Identity, more ...func(*bootstrapv3.Bootstrap)) {
	l.t.Helper()
	l.start(id, more...)
	l.await(id)
}

func (l *lab) start(id ir.Identity, more ...func(*bootstrapv3.Bootstrap)) {
	l.t.Helper()
	dir := l.t.TempDir()
	path := filepath.Join(dir, "bootstrap.json")
	b := l.bootstrap(id, dir)
	for _, change := range more {
		change(b)
	}
	text, err := protojson.Marshal(b)
	must(l.t, err)
	must(l.t, os.WriteFile(path, text, 0o600))
	l.run(dir, "-c", path, "--concurrency", "1", "--use-dynamic-base-id", "-l", "warning", "--drain-time-s", "1")
}

// bootstrap is what the product makes for a proxy.
func (l *lab) bootstrap(id ir.Identity, dir string) *bootstrapv3.Bootstrap {
	files, err := l.ca.Write(dir, id.URI("cluster.local"))
	must(l.t, err)
	text, err := bootstrap.Envoy(bootstrap.Options{Namespace: id.Namespace, Account: id.Account, Server: l.ads,
		Files: bootstrap.Files{Cert: files.Cert, Key: files.Key, CA: files.CA}, Admin: "127.0.0.1:0"})
	must(l.t, err)
	b := &bootstrapv3.Bootstrap{}
	must(l.t, protojson.Unmarshal(text, b))
	return b
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
		cmd.Wait() // it was killed
		if text, _ := os.ReadFile(log.Name()); l.t.Failed() {
			l.t.Logf("Envoy said:\n%s", text)
		}
	})
}

// await waits until a proxy has taken over, or refused, what is served.
func (l *lab) await(id ir.Identity) {
	l.t.Helper()
	eventually(l.t, "listeners that are in use at "+id.Account, func() bool {
		s := l.server.Status()
		return s.Nacks > 0 || slices.ContainsFunc(s.Nodes, func(n server.NodeStatus) bool {
			return n.Namespace == id.Namespace && n.Account == id.Account && inUse(n, xds.TypeCluster) && inUse(n, xds.TypeListener)
		})
	})
}

// inUse reports whether a proxy has taken over what it was sent of a type. What
// it does not watch, such as routes while no listener needs any, it does not
// answer for.
func inUse(n server.NodeStatus, typeURL string) bool {
	return slices.ContainsFunc(n.Types, func(t server.TypeStatus) bool {
		return t.TypeURL == typeURL && t.Accepted != "" && t.Accepted == t.Sent
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

// nextPort is where the search for a free port goes on. It stays below the
// ports that connections take, and starts elsewhere in each process.
var nextPort atomic.Int32

// freePort finds a port that nobody listens on, and never the same twice.
func freePort(t *testing.T) int32 {
	nextPort.CompareAndSwap(0, 16000+int32(os.Getpid()%120)*100)
	for range 10000 {
		port := nextPort.Add(1)
		if l, err := net.Listen("tcp", local(port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("there is no free port")
	return 0
}

func local(port int32) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// app is a process behind a proxy: it answers with its name and with the
// request's own words, as they arrived; with all of them in the header X-Heard.
func app(t *testing.T, name string) int32 {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	both := &http.Protocols{}
	both.SetHTTP1(true)
	both.SetUnencryptedHTTP2(true)
	s := &http.Server{Protocols: both, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		maps.Copy(w.Header(), answered)
		w.Header().Set("X-App", name)
		w.Header().Set("X-Heard", hearing(name, r).String())
		fmt.Fprintf(w, "%s %s %s", name, r.RequestURI, r.Header.Get("x-forwarded-client-cert"))
	})}
	go s.Serve(l) // it ends when the test does
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
				c.Read(make([]byte, 100)) // until the caller goes
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
