package grpc

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/meshknot/meshknot/test/golden"
	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// A server that there is no Listener for does not serve: whoever connects is cut
// off, where one that serves waits for the caller to speak.
func TestServerWithoutListener(t *testing.T) {
	p := start(t)
	cases := golden.Cases(t, "../../cases/specs")
	for _, c := range cases {
		if c.Name != "specs/grpc" && c.Name != "grpc" {
			continue
		}
		if _, err := p.Show(planes.Scene{Name: c.Name, Units: golden.Do(c).Units, Requests: []semantics.Request{c.Expect[0].Request}}); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	unlisted := &process{id: ir.Identity{Namespace: "shop", Account: "unlisted"}, name: "unlisted", listener: listener,
		node: "sidecar~shop/unlisted~80", ended: make(chan struct{})}
	if err := p.run(unlisted); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(unlisted.stop)
	if held(t, unlisted.address()) {
		t.Error("a server without a Listener holds a connection")
	}
	if unlisted.serving.Load() {
		t.Error("a server without a Listener serves")
	}
	served := 0
	for _, s := range p.servers {
		if s.serving.Load() {
			served++
			if !held(t, s.address()) {
				t.Errorf("%s serves and cuts off who connects", s.name)
			}
		}
	}
	if served == 0 {
		t.Error("nobody serves")
	}
}

// held reports whether a connection stands that nothing is said on.
func held(t *testing.T, address string) bool {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err = conn.Read(make([]byte, 1))
	return err == nil || errors.Is(err, os.ErrDeadlineExceeded)
}
