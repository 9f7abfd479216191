package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// Names of the files of a certificate, as a Secret of type kubernetes.io/tls has them.
const (
	certFile = "tls.crt"
	keyFile  = "tls.key"
)

// Certificate is the certificate that is served: that of a directory, read again
// when it changes. One that cannot be used, or is not valid yet, leaves the old one
// in place, so that a certificate may be exchanged under load; connections that
// stand are not touched.
type Certificate struct {
	dir     string
	current atomic.Pointer[tls.Certificate]
	trouble atomic.Pointer[error]
}

// NewCertificate reads the certificate of a directory; there need be none yet.
func NewCertificate(dir string) *Certificate {
	c := &Certificate{dir: dir}
	c.reload(time.Now())
	return c
}

// Run looks for another certificate again and again, until ctx ends. What is
// mounted is often exchanged behind a link, of which nobody is told.
func (c *Certificate) Run(ctx context.Context, every time.Duration) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			c.reload(now)
		}
	}
}

// Ready returns an error while there is no certificate to be served, or one that
// has expired.
func (c *Certificate) Ready() error {
	have := c.current.Load()
	switch {
	case have == nil:
		if why := c.trouble.Load(); why != nil {
			return *why
		}
		return errors.New("no certificate")
	case time.Now().After(have.Leaf.NotAfter):
		return fmt.Errorf("the certificate expired at %v", have.Leaf.NotAfter)
	}
	return nil
}

// Trouble returns why the certificate in the directory is not the one that is
// served, or nil.
func (c *Certificate) Trouble() error {
	if why := c.trouble.Load(); why != nil {
		return *why
	}
	return nil
}

// TLS is a configuration that serves it, TLS 1.2 at least.
func (c *Certificate) TLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		if have := c.current.Load(); have != nil {
			return have, nil
		}
		return nil, errors.New("there is no certificate yet")
	}}
}

func (c *Certificate) reload(now time.Time) {
	read, err := c.read(now)
	if err != nil {
		err = fmt.Errorf("certificate in %s: %w", c.dir, err)
		c.trouble.Store(&err)
		return
	}
	c.trouble.Store(nil)
	c.current.Store(read)
}

func (c *Certificate) read(now time.Time) (*tls.Certificate, error) {
	cert, err := os.ReadFile(filepath.Join(c.dir, certFile))
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(filepath.Join(c.dir, keyFile))
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, errors.New("certificate and key do not go together") // no word of the key
	}
	if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
		return nil, err
	}
	switch {
	case now.Before(pair.Leaf.NotBefore):
		return nil, fmt.Errorf("it is not valid before %v", pair.Leaf.NotBefore)
	case now.After(pair.Leaf.NotAfter):
		return nil, fmt.Errorf("it expired at %v", pair.Leaf.NotAfter)
	}
	return &pair, nil
}
