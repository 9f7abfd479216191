// Package lab starts the real programs that translated configuration is held
// against, on loopback, and stops them all whatever happens: each is the head of
// a process group of its own and dies with this process.
package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/meshknot/meshknot/internal/demo/ca"
)

// Lab owns processes, a directory and an authority that signs certificates. Its
// methods are safe for concurrent use.
type Lab struct {
	// Dir is a directory of the lab's own.
	Dir string
	// CA signs the certificates of the lab's identities.
	CA *ca.CA

	mu        sync.Mutex
	processes []*Process
	closers   []func()

	program struct { // see Meshknot
		sync.Once
		path string
		err  error
	}
}

// Open makes a lab. It has to be closed.
func Open() (*Lab, error) {
	dir, err := os.MkdirTemp("", "meshknot-lab-")
	if err != nil {
		return nil, err
	}
	authority, err := ca.New()
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return &Lab{Dir: dir, CA: authority}, nil
}

// ForTest makes a lab that is closed with the test. A process that died fails
// the test with what it said last; in a test that failed, all of them say it.
func ForTest(t testing.TB) *Lab {
	t.Helper()
	l, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Err(); err != nil {
			t.Error(err)
		} else if t.Failed() {
			t.Log(l.Said(30))
		}
		l.Close()
	})
	return l
}

// Close stops everything, last started first, and removes the directory.
func (l *Lab) Close() {
	l.mu.Lock()
	processes, closers := l.processes, l.closers
	l.processes, l.closers = nil, nil
	l.mu.Unlock()
	for _, c := range slices.Backward(closers) {
		c()
	}
	for _, p := range slices.Backward(processes) {
		p.Stop()
	}
	os.RemoveAll(l.Dir)
}

// OnClose has f called when the lab is closed, before the processes are stopped.
func (l *Lab) OnClose(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closers = append(l.closers, f)
}

// Err returns an error for the processes that ended by themselves, each with
// the last lines of its log. What is observed after that says nothing of any policy.
func (l *Lab) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, p := range l.processes {
		if died, why := p.Died(); died {
			errs = append(errs, fmt.Errorf("%s died (%s); it said last:\n%s", p.Name, fmt.Sprint(why), p.Said(20)))
		}
	}
	return errors.Join(errs...)
}

// Said returns the last lines of every process's log.
func (l *Lab) Said(lines int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out string
	for _, p := range l.processes {
		out += fmt.Sprintf("== %s\n%s\n", p.Name, p.Said(lines))
	}
	return out
}

// Files writes a certificate for a SPIFFE URI, with its key and the authority's
// own certificate, into a directory of its own.
func (l *Lab) Files(uri string) (ca.Files, error) {
	dir, err := l.NewDir("certs")
	if err != nil {
		return ca.Files{}, err
	}
	return l.CA.Write(dir, uri)
}

// NewDir makes a directory below Dir.
func (l *Lab) NewDir(name string) (string, error) {
	return os.MkdirTemp(l.Dir, filepath.Base(name)+"-")
}
