// Package envoy_test holds translated configuration against a real Envoy: what
// it accepts, where it sends calls and which it denies.
package envoy_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/meshknot/meshknot/internal/bootstrap"
	server "github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/envoy"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/xds"
)

// rig is a control plane, the one of the product, and the proxies that it serves.
type rig struct {
	*lab.Lab
	t       *testing.T
	ca      authority
	server  *server.Server
	ads     string // its address
	started []*lab.Process
	served  []translators.Artifact
}

func newRig(t *testing.T) *rig {
	lab.Need(t, lab.Envoy)
	l := &rig{Lab: lab.ForTest(t), t: t, server: server.New(server.Options{})}
	l.ca = authority{l.CA, t}
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
		must(t, l.Err())
		for _, p := range l.started {
			p.Stop()
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
func (l *rig) serve(target translators.Target, units []ir.Unit, change ...func(*translators.Artifact)) {
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

func (l *rig) update(units []ir.Unit, artifacts []translators.Artifact) {
	l.t.Helper()
	l.served = artifacts
	must(l.t, l.server.Update(server.State{Units: units, Artifacts: map[string][]translators.Artifact{"envoy": artifacts}}))
}

// proxy starts an Envoy with an identity, in a way that more may change, and
// waits until it has what is served.
func (l *rig) proxy(id ir.Identity, more ...func(*bootstrapv3.Bootstrap)) {
	l.t.Helper()
	l.start(id, more...)
	l.await(id)
}

func (l *rig) start(id ir.Identity, more ...func(*bootstrapv3.Bootstrap)) {
	l.t.Helper()
	b := l.bootstrap(id)
	for _, change := range more {
		change(b)
	}
	text, err := protojson.Marshal(b)
	must(l.t, err)
	p, err := l.StartEnvoy(id.Namespace+"-"+id.Account, text)
	must(l.t, err)
	l.started = append(l.started, p)
}

// bootstrap is what the product makes for a proxy.
func (l *rig) bootstrap(id ir.Identity) *bootstrapv3.Bootstrap {
	files, err := l.Files(id.URI("cluster.local"))
	must(l.t, err)
	text, err := bootstrap.Envoy(bootstrap.Options{Namespace: id.Namespace, Account: id.Account, Server: l.ads,
		Files: bootstrap.Files{Cert: files.Cert, Key: files.Key, CA: files.CA}, Admin: "127.0.0.1:0"})
	must(l.t, err)
	b := &bootstrapv3.Bootstrap{}
	must(l.t, protojson.Unmarshal(text, b))
	return b
}

// await waits until a proxy has taken over, or refused, what is served.
func (l *rig) await(id ir.Identity) {
	l.t.Helper()
	eventually(l.t, "listeners that are in use at "+id.Account, func() bool {
		s := l.server.Status()
		return s.Nacks > 0 || slices.ContainsFunc(s.Nodes, func(n server.NodeStatus) bool {
			return n.Namespace == id.Namespace && n.Account == id.Account && inUse(n, xds.TypeCluster) && inUse(n, xds.TypeListener)
		})
	})
	l.listening(id)
}

// listening waits for the listeners of a proxy: it confirms them before they have
// their routes, and listens after it. One that gets none stays closed.
func (l *rig) listening(id ir.Identity) {
	end := time.Now().Add(5 * time.Second)
	for _, a := range l.served {
		listener, ok := a.Payload.(*listenerv3.Listener)
		if !ok || !a.Audience.Includes(id) || listener.GetBindToPort() != nil && !listener.GetBindToPort().GetValue() {
			continue
		}
		at := listener.GetAddress().GetSocketAddress()
		address := net.JoinHostPort(at.GetAddress(), strconv.Itoa(int(at.GetPortValue())))
		for time.Now().Before(end) {
			if conn, err := net.DialTimeout("tcp", address, time.Second); err == nil {
				conn.Close()
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
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

// freePort finds a port that nobody listens on, and never the same twice.
func freePort(t *testing.T) int32 {
	t.Helper()
	port, err := lab.FreePort()
	must(t, err)
	return port
}

func local(port int32) string { return lab.Local(port) }

func newEcho(l *rig, name string) *lab.Echo {
	l.t.Helper()
	e, err := l.Echo(name)
	must(l.t, err)
	return e
}

// app is a process behind a proxy: it answers with its name and with the
// request's own words, as they arrived.
func app(t *testing.T, name string) int32 {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	both := &http.Protocols{}
	both.SetHTTP1(true)
	both.SetUnencryptedHTTP2(true)
	s := &http.Server{Protocols: both, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-App", name)
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
