// Package ca is a certificate authority for demonstrations and tests: it lives
// in memory, its certificates for an hour. It is not for production, where
// SPIRE, cert-manager or a mesh's own authority gives workloads their identity.
package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

const lifetime = time.Hour

// CA signs the certificates of one trust domain.
type CA struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
}

// Files are the paths of an identity's PEM files.
type Files struct{ Cert, Key, CA string }

// New makes an authority.
func New() (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the CA's key: %w", err)
	}
	t, err := template("meshknot demo CA")
	if err != nil {
		return nil, err
	}
	t.IsCA, t.BasicConstraintsValid = true, true
	t.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("signing the CA: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading the CA: %w", err)
	}
	return &CA{key, cert, encode("CERTIFICATE", der)}, nil
}

func template(name string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("choosing a serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(lifetime),
	}, nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// Write gives an identity, such as "spiffe://cluster.local/ns/shop/sa/web",
// files of its own in a directory, which is made. The certificate is also good
// for localhost.
func (c *CA) Write(dir, identity string) (Files, error) {
	uri, err := url.Parse(identity)
	if err != nil {
		return Files{}, fmt.Errorf("reading identity: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Files{}, fmt.Errorf("making a key: %w", err)
	}
	t, err := template(identity)
	if err != nil {
		return Files{}, err
	}
	t.URIs = []*url.URL{uri}
	t.DNSNames = []string{"localhost"}
	t.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	cert, err := x509.CreateCertificate(rand.Reader, t, c.cert, key.Public(), c.key)
	if err != nil {
		return Files{}, fmt.Errorf("signing for %s: %w", identity, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Files{}, fmt.Errorf("encoding a key: %w", err)
	}
	f := Files{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "ca.pem")}
	return f, f.write(encode("CERTIFICATE", cert), encode("PRIVATE KEY", der), c.pem)
}

func (f Files) write(cert, key, ca []byte) error {
	if err := os.MkdirAll(filepath.Dir(f.Cert), 0o700); err != nil {
		return fmt.Errorf("writing certificates: %w", err)
	}
	for _, file := range []struct {
		path string
		data []byte
	}{{f.Cert, cert}, {f.Key, key}, {f.CA, ca}} {
		if err := os.WriteFile(file.path, file.data, 0o600); err != nil {
			return fmt.Errorf("writing certificates: %w", err)
		}
	}
	return nil
}
