package bootstrap

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	server "github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/xds"
)

// TestChangedClusterKeepsItsEndpoints changes a cluster, not its endpoints,
// under a running Envoy: the cluster must be in use again at once, in either
// protocol. Envoy asks for endpoints that the server believes to be known.
func TestChangedClusterKeepsItsEndpoints(t *testing.T) {
	binary := envoyBinary(t)
	endpoints := ir.Endpoints{Namespace: "shop", Name: "reviews", Ports: []ir.EndpointsPort{{Number: 80,
		Endpoints: []ir.Endpoint{{Address: "127.0.0.1", Port: 1, Ready: true}}}}}
	state := func(stat string) server.State {
		c := xds.Cluster("reviews.shop:80")
		c.AltStatName = stat
		e := xds.LoadAssignments(endpoints)[0]
		return server.State{Artifacts: map[string][]translators.Artifact{"envoy": {
			{ID: translators.ID{Type: xds.TypeCluster, Name: c.GetName()}, Payload: c},
			{ID: translators.ID{Type: xds.TypeEndpoints, Name: e.GetClusterName()}, Payload: e}}}}
	}
	for _, sotw := range []bool{false, true} {
		t.Run(fmt.Sprintf("state of the world %t", sotw), func(t *testing.T) {
			s := server.New(server.Options{Grace: time.Second})
			if err := s.Update(state("one")); err != nil {
				t.Fatal(err)
			}
			addr := serve(t, s)
			get := runEnvoy(t, binary, Options{Node: "sidecar~shop/web", Server: addr, StateOfTheWorld: sotw})
			wait(t, 30*time.Second, "the first version in use", func() bool {
				return strings.Contains(get("/clusters"), "reviews.shop:80::127.0.0.1:1::")
			})
			if err := s.Update(state("two")); err != nil {
				t.Fatal(err)
			}
			wait(t, 5*time.Second, "the second version in use", func() bool {
				stats := get("/stats?filter=cluster_manager")
				return strings.Contains(stats, "cluster_manager.cluster_modified: 1\n") &&
					strings.Contains(stats, "cluster_manager.warming_clusters: 0\n") &&
					strings.Contains(get("/clusters"), "reviews.shop:80::127.0.0.1:1::")
			})
		})
	}
}

// serve serves on loopback until the test ends.
func serve(t *testing.T, s *server.Server) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, lis) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return lis.Addr().String()
}

// runEnvoy runs an Envoy until the test ends and returns how to ask its
// administration, which answers nothing until it is there.
func runEnvoy(t *testing.T, binary string, o Options) func(path string) string {
	t.Helper()
	o.Admin = "127.0.0.1:0"
	out, err := Envoy(o)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config, admin := filepath.Join(dir, "envoy.json"), filepath.Join(dir, "admin")
	if err := os.WriteFile(config, out, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "-c", config, "--use-dynamic-base-id", "--concurrency", "1", "-l", "error", "--admin-address-path", admin)
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	return func(path string) string {
		addr, err := os.ReadFile(admin)
		if err != nil {
			return ""
		}
		resp, err := http.Get("http://" + string(addr) + path)
		if err != nil {
			return ""
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return string(body)
	}
}

func wait(t *testing.T, patience time.Duration, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}
