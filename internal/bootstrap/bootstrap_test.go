package bootstrap

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/grpc/xds"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/meshknot/meshknot/internal/demo/ca"
	server "github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/grpc"
	"github.com/meshknot/meshknot/translators/ir"
)

const serverID = "spiffe://cluster.local/ns/mesh/sa/meshknot"

func identity(t *testing.T) Files {
	t.Helper()
	authority, err := ca.New()
	if err != nil {
		t.Fatal(err)
	}
	f, err := authority.Write(t.TempDir(), "spiffe://cluster.local/ns/shop/sa/web")
	if err != nil {
		t.Fatal(err)
	}
	return Files(f)
}

// envoyBinary skips a test, loudly, where there is no Envoy.
func envoyBinary(t *testing.T) string {
	t.Helper()
	for _, path := range []string{os.Getenv("MESHKNOT_ENVOY"), "../../.cache/envoy/bin/envoy"} {
		if _, err := os.Stat(path); path != "" && err == nil {
			abs, err := filepath.Abs(path)
			if err != nil {
				t.Fatal(err)
			}
			return abs
		}
	}
	if os.Getenv("REQUIRE_REAL") == "1" {
		t.Fatal("REQUIRE_REAL=1, and there is no Envoy (make envoy installs one)")
	}
	t.Skip("!! LOUD: no Envoy (MESHKNOT_ENVOY, .cache/envoy): nothing says that Envoy accepts this bootstrap")
	return ""
}

func TestOptions(t *testing.T) {
	files := Files{"cert.pem", "key.pem", "ca.pem"}
	for _, tt := range []struct {
		name    string
		options Options
		want    string
	}{
		{"account", Options{Namespace: "shop", Account: "web", Server: "xds:1"}, ""},
		{"node", Options{Node: "sidecar~shop/web~pod-1", Server: "xds:1"}, ""},
		{"nobody", Options{Node: "pod-1", Server: "xds:1"}, "does not say who it is"},
		{"half a name", Options{Node: "sidecar~shop", Server: "xds:1"}, "does not say who it is"},
		{"no server", Options{Node: "sidecar~shop/web"}, "not HOST:PORT"},
		{"server without a port", Options{Node: "sidecar~shop/web", Server: "xds"}, "not HOST:PORT"},
		{"a key is missing", Options{Node: "sidecar~shop/web", Server: "xds:1", Files: Files{Cert: "c", CA: "a"}}, "one of them is missing"},
		{"TLS without files", Options{Node: "sidecar~shop/web", Server: "xds:1", ServerIdentity: serverID}, "are missing"},
		{"TLS", Options{Node: "sidecar~shop/web", Server: "xds:1", ServerIdentity: serverID, Files: files}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, f := range []func(Options) ([]byte, error){Envoy, GRPC} {
				_, err := f(tt.options)
				if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
					t.Errorf("got %v, want %q", err, tt.want)
				}
			}
		})
	}
}

func TestEnvoyContent(t *testing.T) {
	o := Options{Node: "sidecar~shop/web~pod-1", Server: "127.0.0.1:18000", Files: identity(t)}
	out, err := Envoy(o)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Envoy(o)
	if err != nil || !bytes.Equal(out, again) {
		t.Error("the same options, other bytes")
	}
	var b bootstrapv3.Bootstrap
	if err := protojson.Unmarshal(out, &b); err != nil {
		t.Fatal(err)
	}
	if got := b.GetNode().GetMetadata().AsMap(); got["namespace"] != "shop" || got["account"] != "web" || got["backend"] != "envoy" {
		t.Errorf("metadata %v", got)
	}
	if got := b.GetAdmin().GetAddress().GetSocketAddress().GetAddress(); got != "127.0.0.1" {
		t.Errorf("administration is open on %s", got)
	}
	limit := b.GetLayeredRuntime().GetLayers()[0].GetStaticLayer().AsMap()["re2.max_program_size.error_level"]
	if limit != float64(1<<20) {
		t.Errorf("regular expressions may have size %v", limit)
	}
	var secrets []string
	for _, s := range b.GetStaticResources().GetSecrets() {
		secrets = append(secrets, s.GetName())
	}
	if strings.Join(secrets, " ") != "default ROOTCA" {
		t.Errorf("secrets %v", secrets)
	}
	if key, err := os.ReadFile(o.Files.Key); err != nil || bytes.Contains(out, key[30:60]) {
		t.Error("the bootstrap holds the key itself")
	}
}

func TestEnvoyAcceptsIt(t *testing.T) {
	binary := envoyBinary(t)
	files := identity(t)
	for _, tt := range []struct {
		name    string
		options Options
	}{
		{"plaintext", Options{Node: "sidecar~shop/web", Server: "127.0.0.1:1"}},
		{"by name, state of the world", Options{Node: "sidecar~shop/web", Server: "localhost:1", StateOfTheWorld: true}},
		{"TLS", Options{Node: "sidecar~shop/web", Server: "127.0.0.1:1", Files: files, ServerIdentity: serverID}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := Envoy(tt.options)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "envoy.json")
			if err := os.WriteFile(path, out, 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			if log, err := exec.CommandContext(ctx, binary, "--mode", "validate", "-c", path).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, log)
			}
		})
	}
}

func TestGRPCContent(t *testing.T) {
	out, err := GRPC(Options{Node: "sidecar~shop/web", Server: "localhost:18000", Files: identity(t), ServerIdentity: serverID})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := xds.NewXDSResolverWithConfigForTesting(out); err != nil { // it parses the bootstrap and makes every provider
		t.Error(err)
	}
	var b struct {
		Node         struct{ Metadata map[string]string }
		Template     string                     `json:"server_listener_resource_name_template"`
		Certificates map[string]json.RawMessage `json:"certificate_providers"`
	}
	if err := json.Unmarshal(out, &b); err != nil || b.Node.Metadata["backend"] != "grpc" {
		t.Errorf("metadata %v, %v", b.Node.Metadata, err)
	}
	if want := grpc.ServerListenerTemplate(ir.Identity{Namespace: "shop", Account: "web"}); b.Template != want {
		t.Errorf("servers ask for %q, the back end makes %q", b.Template, want)
	}
	if b.Certificates[grpc.CertificateInstance] == nil {
		t.Errorf("no certificate provider %q", grpc.CertificateInstance)
	}
}

// TestEnvoyConnects starts a sidecar against the real server, over mTLS.
func TestEnvoyConnects(t *testing.T) {
	binary := envoyBinary(t)
	authority, err := ca.New()
	if err != nil {
		t.Fatal(err)
	}
	own, err := authority.Write(t.TempDir(), serverID)
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := authority.Write(t.TempDir(), "spiffe://cluster.local/ns/shop/sa/web")
	if err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s := server.New(server.Options{TLS: &server.TLSFiles{Cert: own.Cert, Key: own.Key, CA: own.CA}})
	if err := s.Update(server.State{Artifacts: map[string][]translators.Artifact{"envoy": nil}}); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, lis) }()
	out, err := Envoy(Options{Node: "sidecar~shop/web", Server: lis.Addr().String(), Admin: "127.0.0.1:0",
		Files: Files(proxy), ServerIdentity: serverID})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "envoy.json")
	if err := os.WriteFile(path, out, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, binary, "-c", path, "--use-dynamic-base-id", "--concurrency", "1", "-l", "error")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Stderr = io.Discard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	connected := func() bool {
		st := s.Status()
		return len(st.Nodes) == 1 && st.Nodes[0].Acks >= 2 && st.Nacks == 0 && st.Nodes[0].Delta
	}
	for ctx.Err() == nil && !connected() {
		time.Sleep(20 * time.Millisecond)
	}
	if !connected() {
		t.Errorf("Envoy does not connect: %+v", s.Status())
	}
	cancel()
	_ = cmd.Wait()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
