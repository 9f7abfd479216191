package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/meshknot/meshknot/internal/bootstrap"
	"github.com/meshknot/meshknot/internal/demo/ca"
	"github.com/meshknot/meshknot/translators"
)

// plane is a data plane: the shop's servers, and a way to call them.
type plane interface {
	// title names it, in a few words.
	title() string
	target() translators.Target
	// reached is where each server is reached by other workloads.
	reached() map[string]address
	// start starts what needs the control plane at an address.
	start(xds string) error
	// dial opens a new connection for a call.
	dial(c call) (*grpc.ClientConn, error)
	// trouble is what its processes complain of, if anything.
	trouble() string
	// stop ends all that was started. It may be called at any time.
	stop()
}

// identities gives every account of the shop its certificate.
func identities(dir string, authority *ca.CA) (map[string]ca.Files, error) {
	out := map[string]ca.Files{}
	for _, account := range slices.Concat(callers, servers) {
		f, err := authority.Write(filepath.Join(dir, "identities", account), identityOf(namespace, account))
		if err != nil {
			return nil, err
		}
		out[account] = f
	}
	return out, nil
}

// bootstrapFor says who an account is and where its control plane is.
func bootstrapFor(account, xds string, files ca.Files) bootstrap.Options {
	return bootstrap.Options{
		Namespace: namespace, Account: account, Server: xds, Files: bootstrap.Files(files),
		ServerIdentity: identityOf("mesh", serverAccount), Admin: "127.0.0.1:0", StateOfTheWorld: true,
	}
}

// listenAll listens on loopback for each server.
func listenAll() (map[string]net.Listener, error) {
	out := map[string]net.Listener{}
	for _, s := range servers {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			closeAll(out)
			return nil, fmt.Errorf("listening for %s: %w", s, err)
		}
		out[s] = lis
	}
	return out, nil
}

func closeAll(listeners map[string]net.Listener) {
	for _, lis := range listeners {
		_ = lis.Close() // whoever served on it may have closed it
	}
}

// dialPlain opens a connection without TLS. With patience a call waits until
// there is somebody to connect to.
func dialPlain(a address, patience bool) (*grpc.ClientConn, error) {
	return grpc.NewClient(a.String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(patience)))
}

// perConnection is how many calls are made before a new connection is opened.
const perConnection = 20

// makeCalls makes n calls and counts what became of them. They are made on new
// connections, for access is decided when one is opened; with live, every other
// batch is made on that one, which has lived through the edit.
func makeCalls(ctx context.Context, p plane, c call, n int, live *grpc.ClientConn) (map[string]int, error) {
	counts := map[string]int{}
	for batch := 0; n > 0; batch++ {
		size := min(n, perConnection)
		n -= size
		conn, hangUp := live, func() error { return nil }
		if live == nil || batch%2 == 0 {
			var err error
			if conn, err = p.dial(c); err != nil {
				return nil, fmt.Errorf("dialling: %w", err)
			}
			hangUp = conn.Close
		}
		var last error
		for range size {
			outcome, err := one(ctx, conn, c)
			if counts[outcome]++; err != nil {
				last = err
			}
		}
		if err := errors.Join(hangUp(), ctx.Err()); err != nil {
			return nil, errors.Join(err, last)
		}
	}
	return counts, nil
}

func one(ctx context.Context, conn *grpc.ClientConn, c call) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	return ask(ctx, conn, c)
}

// until makes a call on new connections until it has brought every outcome
// expected and then, several times running, no other. It gives up with ctx, for
// the table to show.
func until(ctx context.Context, p plane, c call, want []share) {
	const enough = 5
	seen, running := map[string]bool{}, 0
	for ctx.Err() == nil && (running < enough || len(seen) < len(want)) {
		counts, err := makeCalls(ctx, p, c, 1, nil)
		if err != nil {
			return
		}
		running++
		for outcome := range counts {
			if !likely(outcome, want) {
				seen, running = map[string]bool{}, 0
				time.Sleep(10 * time.Millisecond)
				continue
			}
			seen[outcome] = true
		}
	}
}

func likely(outcome string, want []share) bool {
	for _, s := range want {
		if s.outcome == outcome && s.part > 0 {
			return true
		}
	}
	return false
}

// chatter calls all the time, on one connection, until it is stopped, and
// counts: what failed for want of a connection, and what was denied.
type chatter struct {
	stopped               chan struct{}
	done                  sync.WaitGroup
	calls, failed, denied int
}

func startChatter(p plane, c call) (*chatter, error) {
	conn, err := p.dial(c)
	if err != nil {
		return nil, fmt.Errorf("dialling: %w", err)
	}
	t := &chatter{stopped: make(chan struct{})}
	t.done.Go(func() {
		defer conn.Close() //nolint:errcheck // nothing hangs on it any more
		for {
			select {
			case <-t.stopped:
				return
			case <-time.After(5 * time.Millisecond):
			}
			t.calls++
			switch outcome, _ := one(context.Background(), conn, c); outcome {
			case outcomeFailed:
				t.failed++
			case outcomeDenied:
				t.denied++
			}
		}
	})
	return t, nil
}

func (t *chatter) stop() {
	close(t.stopped)
	t.done.Wait()
}
