package xds

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"
)

// TLSFiles are the PEM files by which the server and its proxies know each
// other. They are read again when they change; what cannot be read leaves the
// last good ones in use.
type TLSFiles struct {
	// Cert and Key are the server's own.
	Cert, Key string
	// CA signs the proxies' certificates.
	CA string
}

// loopback reports whether only this machine can reach an address.
func loopback(addr net.Addr) bool {
	switch a := addr.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}

func (o Options) credentials(addr net.Addr) (credentials.TransportCredentials, error) {
	if o.TLS == nil {
		if !loopback(addr) && !o.Insecure {
			return nil, fmt.Errorf("serving xDS on %s: beyond loopback the server needs a certificate, a key and a CA, or must be told to do without", addr)
		}
		return insecure.NewCredentials(), nil
	}
	r := &reloader{files: *o.TLS}
	if _, err := r.config(); err != nil {
		return nil, fmt.Errorf("serving xDS on %s: %w", addr, err)
	}
	return credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return r.config()
		},
	}), nil
}

// reloader keeps the TLS configuration that its files say.
type reloader struct {
	files TLSFiles

	mu     sync.Mutex
	stamps [3]stamp
	last   *tls.Config
}

// stamp tells whether a file was changed.
type stamp struct {
	size int64
	time time.Time
}

// config returns the configuration for a new connection.
func (r *reloader) config() (*tls.Config, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var now [3]stamp
	for i, path := range []string{r.files.Cert, r.files.Key, r.files.CA} {
		if info, err := os.Stat(path); err == nil {
			now[i] = stamp{info.Size(), info.ModTime()}
		}
	}
	if r.last != nil && now == r.stamps {
		return r.last, nil
	}
	c, err := r.files.load()
	if err == nil {
		r.last, r.stamps = c, now
	}
	if r.last == nil {
		return nil, err
	}
	return r.last, nil
}

func (f TLSFiles) load() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, fmt.Errorf("loading the server's certificate: %w", err)
	}
	ca, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, fmt.Errorf("loading the CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("loading the CA: no certificate in %s", f.CA)
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2"},
		Certificates: []tls.Certificate{cert},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    pool,
		// A resumed session would not look at the CA again.
		SessionTicketsDisabled: true,
	}, nil
}

// peerIdentity returns the SPIFFE ID that the other end of a stream has proved;
// none in plaintext.
func peerIdentity(ctx context.Context) (string, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return "", errors.New("nothing is known of the peer")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return "", nil
	}
	certs := info.State.PeerCertificates
	if len(certs) == 0 || len(certs[0].URIs) != 1 || certs[0].URIs[0].Scheme != "spiffe" {
		return "", errors.New("the certificate has no SPIFFE ID, or several")
	}
	return certs[0].URIs[0].String(), nil
}
