package faults

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/test/lab"
)

// gate is a way to the API server that takes down what the controller writes and what
// it may not do, and ends it at a write.
type gate struct {
	*lab.Way

	mu      sync.Mutex
	writes  []write
	refused []string
	// tamper answers a request and reports true, or leaves it alone.
	tamper func(a http.ResponseWriter, r *http.Request, pass http.HandlerFunc) bool
	// left are the writes that are let through, after which end is called; negative:
	// all are. late: the last one reaches the API server, and nobody hears of it.
	left int
	late bool
	end  func()
	dead chan struct{}
	// stale counts the reads that any version is good enough for.
	stale atomic.Int64
}

// write is a request that changes something.
type write struct {
	method, path string
	body         []byte
}

func (w write) String() string { return w.method + " " + w.path }

func newGate(k *lab.Kube) (*gate, error) {
	way, err := k.Way()
	if err != nil {
		return nil, err
	}
	g := &gate{Way: way, left: -1}
	g.Set(false, g.over)
	return g, nil
}

// changes reports whether a request changes something. That a replica leads is no
// business of users, and to ask whether something is allowed changes nothing.
func changes(r *http.Request) bool {
	return r.Method != http.MethodGet && !strings.Contains(r.URL.Path, "/leases") && !strings.HasSuffix(r.URL.Path, "accessreviews") && !strings.HasSuffix(r.URL.Path, "tokenreviews")
}

func (g *gate) over(a http.ResponseWriter, r *http.Request, pass http.HandlerFunc) {
	kept := &keeper{ResponseWriter: a}
	defer func() {
		if kept.status == http.StatusForbidden || kept.status == http.StatusUnauthorized {
			g.mu.Lock()
			g.refused = append(g.refused, r.Method+" "+r.URL.Path)
			g.mu.Unlock()
		}
	}()
	if r.URL.Query().Get("resourceVersion") == "0" {
		g.stale.Add(1)
	}
	if changes(r) {
		g.change(kept, r, pass)
		return
	}
	g.mu.Lock()
	tamper := g.tamper
	g.mu.Unlock()
	if tamper == nil || !tamper(kept, r, pass) {
		pass(kept, r)
	}
}

// change lets a write through, or ends the controller at it.
func (g *gate) change(a http.ResponseWriter, r *http.Request, pass http.HandlerFunc) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	g.mu.Lock()
	mine := g.left == 0
	if g.left > 0 {
		g.left--
	} else if mine {
		g.left = dying
	}
	over, late, end, dead := g.left == dying && !mine, g.late, g.end, g.dead
	if !over && (!mine || late) {
		g.writes = append(g.writes, write{r.Method, r.URL.Path, body})
	}
	g.mu.Unlock()
	switch {
	case over:
		panic(http.ErrAbortHandler)
	case !mine:
		pass(a, r)
		return
	case late:
		pass(&dropped{http.Header{}}, r)
	}
	end()
	close(dead)
	panic(http.ErrAbortHandler)
}

// dying is what left is while the controller is killed: nothing is let through.
const dying = -2

// killAt has the controller killed at its n-th write from now on, which is number 0,
// before it is let through, or late, after it was answered. It returns a channel that
// is closed when it is dead.
func (g *gate) killAt(n int, late bool, p *cluster.Controller) <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left, g.late, g.end, g.dead = n, late, p.Stop, make(chan struct{})
	return g.dead
}

// spare lets everything through from now on, unless the controller is being killed.
// It waits until it is dead then, and reports it.
func (g *gate) spare() (killed bool) {
	g.mu.Lock()
	if killed = g.left == dying; !killed {
		g.left = -1
	}
	dead := g.dead
	g.mu.Unlock()
	if killed {
		<-dead
	}
	return killed
}

// revive lets a new controller write.
func (g *gate) revive() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.left = -1
}

// interfere has reads answered otherwise, and breaks those that are under way.
func (g *gate) interfere(f func(a http.ResponseWriter, r *http.Request, pass http.HandlerFunc) bool) {
	g.mu.Lock()
	g.tamper = f
	g.mu.Unlock()
	g.Cut()
}

// written are the writes so far whose path has some text.
func (g *gate) written(about string) []write {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(g.writes), func(w write) bool { return !strings.Contains(w.path, about) })
}

// forbidden are the requests that were refused for want of rights, from the n-th on.
func (g *gate) forbidden(n int) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.refused[n:])
}

// object is what a write says.
func (w write) object() (o lab.Object) {
	if json.Unmarshal(w.body, &o) != nil {
		return nil
	}
	return o
}

// keeper keeps the status of an answer.
type keeper struct {
	http.ResponseWriter
	status int
}

func (k *keeper) WriteHeader(status int) {
	k.status = status
	k.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (k *keeper) Unwrap() http.ResponseWriter { return k.ResponseWriter }

// dropped is where an answer goes that nobody is to have.
type dropped struct{ header http.Header }

func (d *dropped) Header() http.Header         { return d.header }
func (d *dropped) Write(p []byte) (int, error) { return len(p), nil }
func (d *dropped) WriteHeader(int)             {}
