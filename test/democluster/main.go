// Command democluster shows meshknot in a cluster, all of it on this machine: a real
// API server with admission, the built controller as the account that install.yaml
// gives it, and real Envoys. The bookstore is applied and bound to Envoy; its split
// is shifted; a bad object is denied; and the namespace is moved to Istio, which is
// planned first. What is expected stands beside what was observed, and where they
// differ the exit status is 1. All that was started has ended when it returns.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/meshknot/meshknot/test/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx))
}

func run(ctx context.Context) int {
	began := time.Now()
	l, err := lab.Open()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo-cluster:", err)
		return 1
	}
	defer l.Close()
	s := &show{w: os.Stdout, lab: l}
	ended := make(chan struct{})
	go func() { s.run(ctx); close(ended) }()
	select {
	case <-ctx.Done():
		fmt.Fprintln(os.Stderr, "\ndemo-cluster: interrupted")
		return 1
	case <-ended:
	}
	if s.failed {
		fmt.Fprintf(os.Stdout, "\nSomething differs: see above.\n")
		return 1
	}
	fmt.Fprintf(os.Stdout, "\nAll as expected, in %.0f s; everything that was started is stopped.\n", time.Since(began).Seconds())
	return 0
}
