package envoy_test

import (
	"crypto/tls"
	"testing"

	"github.com/meshknot/meshknot/internal/demo/ca"
)

// authority signs the certificates of a test; it lives as long as the test.
type authority struct {
	*ca.CA
	t *testing.T
}

func newAuthority(t *testing.T) authority {
	c, err := ca.New()
	must(t, err)
	return authority{c, t}
}

// client is the TLS configuration of a caller with an identity. Servers are
// not checked: it is them that are under test, as judges of callers.
func (a authority) client(uri, alpn string) *tls.Config {
	files, err := a.Write(a.t.TempDir(), uri)
	must(a.t, err)
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	must(a.t, err)
	return &tls.Config{Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true, NextProtos: []string{alpn}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
