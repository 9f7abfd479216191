package xds

import (
	"context"
	"net"
	"os"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/meshknot/meshknot/internal/demo/ca"
)

func TestPlaintextStaysOnLoopback(t *testing.T) {
	everywhere := &net.TCPAddr{IP: net.IPv4zero, Port: 1}
	for _, tt := range []struct {
		name    string
		addr    net.Addr
		options Options
		want    string
	}{
		{"loopback", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, Options{}, ""},
		{"everywhere", everywhere, Options{}, "beyond loopback"},
		{"everywhere, told so", everywhere, Options{Insecure: true}, ""},
		{"missing files", everywhere, Options{TLS: &TLSFiles{"no", "no", "no"}}, "loading the server's certificate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.options.credentials(tt.addr)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	lis, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := New(Options{}).Serve(context.Background(), lis); err == nil {
		t.Error("served plaintext to everybody")
	}
	lis, err = net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := New(Options{Insecure: true}).ServeAdmin(context.Background(), lis); err == nil {
		t.Error("served status to everybody")
	}
}

func TestMutualTLS(t *testing.T) {
	authority, stranger := newCA(t), newCA(t)
	own := issue(t, authority, "spiffe://cluster.local/ns/mesh/sa/meshknot")
	s, addr := start(t, Options{TLS: &TLSFiles{own.Cert, own.Key, own.CA}})
	if err := s.Update(envoyState()); err != nil {
		t.Fatal(err)
	}
	foreign := issue(t, stranger, "spiffe://cluster.local/ns/shop/sa/web")
	foreign.CA = own.CA // it trusts us, we do not trust it
	for _, tt := range []struct {
		name  string
		files ca.Files
		want  codes.Code
	}{
		{"itself", issue(t, authority, "spiffe://cluster.local/ns/shop/sa/web"), codes.OK},
		{"another account", issue(t, authority, "spiffe://cluster.local/ns/shop/sa/cart"), codes.PermissionDenied},
		{"another trust domain", issue(t, authority, "spiffe://elsewhere/ns/shop/sa/web"), codes.PermissionDenied},
		{"no SPIFFE ID", issue(t, authority, "https://cluster.local/ns/shop/sa/web"), codes.Unauthenticated},
		{"another authority", foreign, codes.Unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := connect(t, addr, clientTLS(t, tt.files)).hello("sidecar~shop/web")
			if tt.want == codes.OK {
				c.next()
				return
			}
			if err := c.failure(); status.Code(err) != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestCertificatesAreReadAgain(t *testing.T) {
	old, fresh := newCA(t), newCA(t)
	own := issue(t, old, "spiffe://cluster.local/ns/mesh/sa/meshknot")
	s, addr := start(t, Options{TLS: &TLSFiles{own.Cert, own.Key, own.CA}})
	if err := s.Update(envoyState()); err != nil {
		t.Fatal(err)
	}
	served := func(f ca.Files) bool {
		c := connect(t, addr, clientTLS(t, f)).hello("sidecar~shop/web")
		select {
		case <-c.got:
			return true
		case <-c.err:
			return false
		}
	}
	before, after := issue(t, old, "spiffe://cluster.local/ns/shop/sa/web"), issue(t, fresh, "spiffe://cluster.local/ns/shop/sa/web")
	both := append(read(t, before.CA), read(t, after.CA)...) // the proxies trust either
	for _, f := range []ca.Files{before, after} {
		if err := os.WriteFile(f.CA, both, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if !served(before) || served(after) {
		t.Fatal("the authority in use is not the old one")
	}
	if err := os.WriteFile(own.Key, read(t, own.Key)[:20], 0o600); err != nil { // as if caught while being written
		t.Fatal(err)
	}
	if !served(before) {
		t.Error("a half-written key ends the service")
	}
	dir := own.Cert[:strings.LastIndex(own.Cert, "/")]
	if _, err := fresh.Write(dir, "spiffe://cluster.local/ns/mesh/sa/meshknot"); err != nil {
		t.Fatal(err)
	}
	if !served(after) || served(before) {
		t.Error("the new authority is not in use")
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
