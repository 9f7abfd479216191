package traffic

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/meshknot/meshknot/internal/bootstrap"
	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// accounts are whom the proxies run as; the second asks for the state of the world.
var accounts = []string{"web", "old-web"}

// world is the control plane, the one of the product, with its proxies, and the
// processes behind the Services.
type world struct {
	*lab.Lab
	t      *testing.T
	engine *engine.Engine
	server *xds.Server
	ports  map[string][2]int32
	at     []map[string]string
	ads    string
}

func newWorld(t *testing.T) *world {
	lab.Need(t, lab.Envoy)
	w := &world{Lab: lab.ForTest(t), t: t, ports: map[string][2]int32{}}
	for _, s := range append([]string{"extra"}, always...) {
		w.ports[s] = [2]int32{w.backend(s), w.backend(s)}
	}
	options := map[string]string{}
	for _, account := range accounts {
		at := map[string]string{}
		for _, s := range []string{"reviews", "orders"} {
			port, err := lab.FreePort()
			must(t, err)
			at[s] = lab.Local(port)
			key := fmt.Sprintf("listen.%s/%s:80", namespace, s)
			if options[key] != "" {
				options[key] += ","
			}
			options[key] += fmt.Sprintf("%s/%s=%s", namespace, account, at[s])
		}
		w.at = append(w.at, at)
	}
	for _, s := range append([]string{"extra"}, always...) { // nobody calls them by their own names
		port, err := lab.FreePort()
		must(t, err)
		options[fmt.Sprintf("listen.%s/%s:80", namespace, s)] = fmt.Sprintf("%s/nobody=%s", namespace, lab.Local(port))
	}
	w.engine = engine.New(all.Pipeline(), []translators.Target{{Backend: "envoy", Options: options}}, nil)
	w.server = xds.New(xds.Options{Grace: time.Second})
	w.listen()
	return w
}

// listen serves xDS until the test ends.
func (w *world) listen() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(w.t, err)
	w.ads = listener.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.server.Serve(ctx, listener) }()
	w.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
}

// backend is a process with an identity of its own that says which Service it is.
func (w *world) backend(service string) int32 {
	files, err := w.Files("spiffe://cluster.local/ns/" + namespace + "/sa/" + service)
	must(w.t, err)
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	must(w.t, err)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	must(w.t, err)
	s := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, service) })}
	go s.Serve(listener) // it ends when the lab does
	w.OnClose(func() { s.Close() })
	return int32(listener.Addr().(*net.TCPAddr).Port)
}

// proxies starts an Envoy for each account.
func (w *world) proxies() {
	for i, account := range accounts {
		files, err := w.Files("spiffe://cluster.local/ns/" + namespace + "/sa/" + account)
		must(w.t, err)
		text, err := bootstrap.Envoy(bootstrap.Options{Namespace: namespace, Account: account, Server: w.ads, Admin: "127.0.0.1:0",
			Files: bootstrap.Files{Cert: files.Cert, Key: files.Key, CA: files.CA}, StateOfTheWorld: i > 0})
		must(w.t, err)
		_, err = w.StartEnvoy(account, text)
		must(w.t, err)
	}
	must(w.t, w.Eventually("listeners of every proxy", 30*time.Second, func() bool {
		for _, at := range w.at {
			for _, address := range at {
				conn, err := net.DialTimeout("tcp", address, time.Second)
				if err != nil {
					return false
				}
				conn.Close()
			}
		}
		return true
	}))
}

// serve brings the proxies to a policy. What it means is noted first, for it may
// show before Apply returns.
func (w *world) serve(p policy, h *history) error {
	set, found := input.ReadFiles(p.files(w.ports), input.Options{Schemas: all.Pipeline().Schemas()})
	step := w.engine.Update(input.NewStore(set, input.Settings{}))
	res := w.engine.Result()
	for _, f := range append(found, res.Findings...) {
		if f.Severity == report.Error {
			return fmt.Errorf("%s: %s", f.Source, f.Message)
		}
	}
	m, err := meaningOf(res.Units)
	if err != nil {
		return err
	}
	h.begin(m)
	return w.server.Apply(step.Changed)
}

// inSync reports whether every proxy has confirmed all that is served.
func (w *world) inSync() bool {
	s := w.server.Status()
	if s.Nacks > 0 {
		w.t.Fatalf("Envoy refused %s: %s", s.LastNack.Resource, s.LastNack.Text)
	}
	if len(s.Nodes) < len(accounts) {
		return false
	}
	for _, n := range s.Nodes {
		if !n.InSync {
			return false
		}
	}
	return true
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
