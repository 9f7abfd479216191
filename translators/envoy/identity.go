package envoy

import (
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/xds"
)

// alpnTCP is what proxies of the mesh say to each other where no HTTP is spoken,
// so that their TLS is told from the TLS of the application inside.
const alpnTCP = "meshknot-tcp"

// clientTLS proves who we are and checks that the server is one of those named.
// On HTTP Envoy offers the version that it is about to speak.
func (o options) clientTLS(p ir.Protocol, servers []*matcherv3.StringMatcher) *corev3.TransportSocket {
	common := o.commonTLS(servers)
	if !p.IsHTTP() {
		common.AlpnProtocols = []string{alpnTCP}
	}
	return tlsSocket(&tlsv3.UpstreamTlsContext{CommonTlsContext: common})
}

// serverTLS demands a certificate of the mesh and, where callers are named, of
// one of them.
func (o options) serverTLS(p ir.Protocol, callers []*matcherv3.StringMatcher) *corev3.TransportSocket {
	common := o.commonTLS(callers)
	common.AlpnProtocols = []string{alpnTCP}
	if p.IsHTTP() {
		common.AlpnProtocols = []string{"h2", "http/1.1"}
	}
	return tlsSocket(&tlsv3.DownstreamTlsContext{CommonTlsContext: common, RequireClientCertificate: wrapperspb.Bool(true)})
}

func (o options) commonTLS(names []*matcherv3.StringMatcher) *tlsv3.CommonTlsContext {
	validation := &tlsv3.CertificateValidationContext{}
	for _, n := range names {
		validation.MatchTypedSubjectAltNames = append(validation.MatchTypedSubjectAltNames,
			&tlsv3.SubjectAltNameMatcher{SanType: tlsv3.SubjectAltNameMatcher_URI, Matcher: n})
	}
	return &tlsv3.CommonTlsContext{
		TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{o.secret(SecretIdentity)},
		ValidationContextType: &tlsv3.CommonTlsContext_CombinedValidationContext{
			CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
				DefaultValidationContext:         validation,
				ValidationContextSdsSecretConfig: o.secret(SecretRoots)}},
	}
}

// secret names a secret; keys and certificates are never part of an artifact.
func (o options) secret(name string) *tlsv3.SdsSecretConfig {
	s := &tlsv3.SdsSecretConfig{Name: name}
	dir, isFile := strings.CutPrefix(o.sds, "file:")
	switch {
	case isFile:
		s.SdsConfig = &corev3.ConfigSource{ResourceApiVersion: corev3.ApiVersion_V3,
			ConfigSourceSpecifier: &corev3.ConfigSource_PathConfigSource{PathConfigSource: &corev3.PathConfigSource{
				Path: dir + "/" + name + ".yaml", WatchedDirectory: &corev3.WatchedDirectory{Path: dir}}}}
	case o.sds != "":
		s.SdsConfig = &corev3.ConfigSource{ResourceApiVersion: corev3.ApiVersion_V3,
			ConfigSourceSpecifier: &corev3.ConfigSource_ApiConfigSource{ApiConfigSource: &corev3.ApiConfigSource{
				ApiType: corev3.ApiConfigSource_GRPC, TransportApiVersion: corev3.ApiVersion_V3,
				GrpcServices: []*corev3.GrpcService{{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
					EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: o.sds}}}}}}}
	}
	return s
}

func tlsSocket(context proto.Message) *corev3.TransportSocket {
	return &corev3.TransportSocket{Name: "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: xds.Any(context)}}
}

// callers are the identities that some grant lets through to a port without
// looking at a request, sorted.
func (o options) callers(w ir.Workload, port ir.WorkloadPort) []*matcherv3.StringMatcher {
	var uris []string
	for _, g := range w.Grants {
		if !xds.GrantsPort(g, port) || !slices.ContainsFunc(g.Matches, ir.Match.IsAll) {
			continue
		}
		for _, s := range g.Sources {
			uris = append(uris, s.Identity.URI(o.trustDomain))
		}
	}
	slices.Sort(uris)
	var out []*matcherv3.StringMatcher
	for _, uri := range slices.Compact(uris) {
		out = append(out, xds.StringMatcher(ir.StringMatch{Kind: ir.MatchExact, Value: uri}))
	}
	return out
}
