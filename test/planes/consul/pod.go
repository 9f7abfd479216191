package consul

import (
	"net"
	"net/http"
	"sync/atomic"

	"github.com/meshknot/meshknot/test/lab"
)

// pod is the process behind a sidecar. It is one process after the other: of HTTP,
// or of a protocol in which the server speaks first.
type pod struct {
	port int32
	role atomic.Pointer[role]
}

func newPod(l *lab.Lab) (*pod, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &pod{port: int32(listener.Addr().(*net.TCPAddr).Port)}
	p.plays(role{process: "nobody", http: true})
	requests := &connections{of: listener, accepted: make(chan net.Conn)}
	server := &http.Server{Handler: p, Protocols: lab.Plain()}
	l.OnClose(func() { listener.Close(); _ = server.Close() })
	go server.Serve(requests) //nolint:errcheck // it ends when the lab does
	go func() {
		defer close(requests.accepted)
		for {
			c, err := listener.Accept()
			switch r := p.role.Load(); {
			case err != nil:
				return
			case r.http:
				requests.accepted <- c
			default:
				go func() {
					defer c.Close()
					lab.Greet(c, r.process)
				}()
			}
		}
	}()
	return p, nil
}

// plays has the pod be another process. Connections for requests may stand then, for
// who answers is looked up with each.
func (p *pod) plays(r role) { p.role.Store(&r) }

// ServeHTTP implements http.Handler.
func (p *pod) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(&lab.Echo{Name: p.role.Load().process}).ServeHTTP(w, r)
}

// connections is a listener of those that were accepted for a server.
type connections struct {
	of       net.Listener
	accepted chan net.Conn
}

// Accept implements net.Listener.
func (c *connections) Accept() (net.Conn, error) {
	if one, ok := <-c.accepted; ok {
		return one, nil
	}
	return nil, net.ErrClosed
}

// Close implements net.Listener.
func (c *connections) Close() error { return c.of.Close() }

// Addr implements net.Listener.
func (c *connections) Addr() net.Addr { return c.of.Addr() }
