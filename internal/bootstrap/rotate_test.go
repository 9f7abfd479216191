package bootstrap

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshknot/meshknot/internal/demo/ca"
)

// TestEnvoyReadsCertificatesAgain replaces the files of an identity under a
// running Envoy and waits until it uses the new certificate.
func TestEnvoyReadsCertificatesAgain(t *testing.T) {
	binary := envoyBinary(t)
	authority, err := ca.New()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files, err := authority.Write(filepath.Join(dir, "identity"), "spiffe://cluster.local/ns/shop/sa/web")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Node: "sidecar~shop/web", Server: "127.0.0.1:1", Admin: "127.0.0.1:0", Files: Files(files), ServerIdentity: serverID, SecretsDir: dir}
	out, err := Envoy(o)
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := Secrets(o)
	if err != nil || len(secrets) != 2 {
		t.Fatalf("%d secrets, %v", len(secrets), err)
	}
	for name, text := range secrets {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "envoy.json")
	if err := os.WriteFile(path, out, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-c", path, "--use-dynamic-base-id", "--concurrency", "1", "-l", "error",
		"--admin-address-path", filepath.Join(dir, "admin"))
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = cmd.Wait() }()
	serial := func() string {
		addr, err := os.ReadFile(filepath.Join(dir, "admin"))
		if err != nil {
			return ""
		}
		resp, err := http.Get("http://" + string(addr) + "/certs")
		if err != nil {
			return ""
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		_, own, _ := strings.Cut(string(body), `"cert_chain"`)
		_, number, _ := strings.Cut(own, `"serial_number": "`)
		number, _, _ = strings.Cut(number, `"`)
		return number
	}
	wait := func(what string, done func(string) bool) string {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if s := serial(); s != "" && done(s) {
				return s
			}
		}
		t.Fatal(what)
		return ""
	}
	first := wait("Envoy shows no certificate", func(string) bool { return true })
	if _, err := authority.Write(filepath.Join(dir, "next"), "spiffe://cluster.local/ns/shop/sa/web"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"key.pem", "cert.pem"} {
		if err := os.Rename(filepath.Join(dir, "next", name), filepath.Join(dir, "identity", name)); err != nil {
			t.Fatal(err)
		}
	}
	wait("Envoy keeps the old certificate", func(s string) bool { return s != first })
}
