package istio

import (
	"crypto/tls"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// certificate is the paths of an identity's files.
type certificate struct{ cert, key, authority string }

// identity returns the certificate of an identity, which is kept.
func (p *Plane) identity(uri string) (certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, ok := p.certificates[uri]; ok {
		return c, nil
	}
	f, err := p.lab.Files(uri)
	if err != nil {
		return certificate{}, err
	}
	p.certificates[uri] = certificate{f.Cert, f.Key, f.CA}
	return p.certificates[uri], nil
}

// client returns the TLS configuration of a caller, which is kept.
func (p *Plane) client(uri, alpn string) (*tls.Config, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := uri + " " + alpn
	if c := p.clients[key]; c != nil {
		return c, nil
	}
	c, err := p.lab.Client(uri, alpn)
	if err == nil {
		p.clients[key] = c
	}
	return c, err
}

func file(path string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: path}}
}

// common gives a TLS context files where it has names of secrets, which Istio's
// agent would fetch from istiod. What istiod says of the peer's names stays.
func (r rewriter) common(c *tlsv3.CommonTlsContext) {
	c.TlsCertificateSdsSecretConfigs = nil
	c.TlsCertificates = []*tlsv3.TlsCertificate{{CertificateChain: file(r.files.cert), PrivateKey: file(r.files.key)}}
	valid := &tlsv3.CertificateValidationContext{}
	if d := c.GetCombinedValidationContext().GetDefaultValidationContext(); d != nil {
		valid = proto.Clone(d).(*tlsv3.CertificateValidationContext)
	}
	valid.TrustedCa = file(r.files.authority)
	c.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: valid}
}

// downstream makes the TLS of a listener ours.
func (r rewriter) downstream(s *corev3.TransportSocket) error {
	m := &tlsv3.DownstreamTlsContext{}
	if !s.GetTypedConfig().MessageIs(m) {
		return nil
	}
	if err := s.GetTypedConfig().UnmarshalTo(m); err != nil {
		return err
	}
	r.common(m.GetCommonTlsContext())
	return pack(s, m)
}

// What Istio's alpn filter writes into the handshake, by what is spoken inside.
var alpns = map[string][]string{
	"http":  {"istio-http/1.1", "istio", "http/1.1"},
	"http2": {"istio-h2", "istio", "h2"},
}

// upstream makes the TLS of a cluster ours.
func (r rewriter) upstream(s *corev3.TransportSocket, http string) error {
	m := &tlsv3.UpstreamTlsContext{}
	if !s.GetTypedConfig().MessageIs(m) {
		return nil
	}
	if err := s.GetTypedConfig().UnmarshalTo(m); err != nil {
		return err
	}
	r.common(m.GetCommonTlsContext())
	if names := alpns[http]; names != nil {
		m.CommonTlsContext.AlpnProtocols = names
	}
	return pack(s, m)
}

func pack(s *corev3.TransportSocket, m proto.Message) error {
	config, err := anypb.New(m)
	s.ConfigType = &corev3.TransportSocket_TypedConfig{TypedConfig: config}
	return err
}
