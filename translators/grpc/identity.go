package grpc

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshknot/meshknot/translators/xds"
)

// CertificateInstance is the certificate provider instance of the bootstrap that
// holds the application's identity and the authorities that others are checked with.
const CertificateInstance = "default"

// clientTLS proves who we are and checks that the server is one of those named.
func clientTLS(servers []*matcherv3.StringMatcher) *corev3.TransportSocket {
	return tlsSocket(&tlsv3.UpstreamTlsContext{CommonTlsContext: commonTLS(servers)})
}

// serverTLS demands a certificate where callers have to be known.
func serverTLS(demand bool) *corev3.TransportSocket {
	return tlsSocket(&tlsv3.DownstreamTlsContext{CommonTlsContext: commonTLS(nil), RequireClientCertificate: wrapperspb.Bool(demand)})
}

func commonTLS(names []*matcherv3.StringMatcher) *tlsv3.CommonTlsContext {
	instance := &tlsv3.CertificateProviderPluginInstance{InstanceName: CertificateInstance}
	return &tlsv3.CommonTlsContext{
		TlsCertificateProviderInstance: instance,
		ValidationContextType: &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
			CaCertificateProviderInstance: instance,
			MatchSubjectAltNames:          names, //nolint:staticcheck // gRPC reads no newer field
		}},
	}
}

func tlsSocket(context proto.Message) *corev3.TransportSocket {
	return &corev3.TransportSocket{Name: "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: xds.Any(context)}}
}
