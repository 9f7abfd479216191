package bootstrap

import (
	"fmt"
	"net"
	"path/filepath"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshknot/meshknot/translators/envoy"
	"github.com/meshknot/meshknot/translators/xds"
)

// adsCluster is the cluster of the xDS server.
const adsCluster = "meshknot"

// Envoy makes the bootstrap of a sidecar, as JSON. It has what the artifacts of
// the envoy back end rely on: the secrets that they name, and room for regular
// expressions that Envoy by itself would refuse.
func Envoy(o Options) ([]byte, error) {
	b, err := envoyBootstrap(o)
	if err != nil {
		return nil, fmt.Errorf("bootstrapping Envoy: %w", err)
	}
	return render(b)
}

func envoyBootstrap(o Options) (*bootstrapv3.Bootstrap, error) {
	o, err := o.normalise()
	if err != nil {
		return nil, err
	}
	meta, err := structOf(o.metadata("envoy"))
	if err != nil {
		return nil, err
	}
	adminHost, adminPort, err := hostPort(o.Admin)
	if err != nil {
		return nil, err
	}
	limit, err := structOf(map[string]any{envoy.RuntimeRegexLimit: float64(envoy.MinRegexLimit)})
	if err != nil {
		return nil, err
	}
	server, err := o.serverCluster()
	if err != nil {
		return nil, err
	}
	b := &bootstrapv3.Bootstrap{
		Node:  &corev3.Node{Id: o.Node, Cluster: o.Namespace + "/" + o.Account, Metadata: meta},
		Admin: &bootstrapv3.Admin{Address: xds.Address(adminHost, adminPort)},
		LayeredRuntime: &bootstrapv3.LayeredRuntime{Layers: []*bootstrapv3.RuntimeLayer{{
			Name: "meshknot", LayerSpecifier: &bootstrapv3.RuntimeLayer_StaticLayer{StaticLayer: limit}}}},
		DynamicResources: &bootstrapv3.Bootstrap_DynamicResources{
			AdsConfig: o.ads(), LdsConfig: xds.ADS(), CdsConfig: xds.ADS()},
		StaticResources: &bootstrapv3.Bootstrap_StaticResources{
			Clusters: []*clusterv3.Cluster{server}, Secrets: o.secrets()},
	}
	if err := b.ValidateAll(); err != nil {
		return nil, fmt.Errorf("validating: %w", err)
	}
	return b, nil
}

func (o Options) ads() *corev3.ApiConfigSource {
	kind := corev3.ApiConfigSource_DELTA_GRPC
	if o.StateOfTheWorld {
		kind = corev3.ApiConfigSource_GRPC
	}
	return &corev3.ApiConfigSource{
		ApiType:                   kind,
		TransportApiVersion:       corev3.ApiVersion_V3,
		SetNodeOnFirstMessageOnly: true,
		GrpcServices: []*corev3.GrpcService{{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
			EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: adsCluster}}}},
	}
}

// serverCluster reaches the xDS server over HTTP/2, and notices when it is gone.
func (o Options) serverCluster() (*clusterv3.Cluster, error) {
	host, port, err := hostPort(o.Server)
	if err != nil {
		return nil, err
	}
	http2 := &httpv3.HttpProtocolOptions{UpstreamProtocolOptions: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{
		ExplicitHttpConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
			ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
				Http2ProtocolOptions: &corev3.Http2ProtocolOptions{ConnectionKeepalive: &corev3.KeepaliveSettings{
					Interval: durationpb.New(30 * time.Second), Timeout: durationpb.New(5 * time.Second)}}}}}}
	c := &clusterv3.Cluster{
		Name:                 adsCluster,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS},
		ConnectTimeout:       durationpb.New(5 * time.Second),
		TypedExtensionProtocolOptions: map[string]*anypb.Any{
			"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": xds.Any(http2)},
		LoadAssignment: &endpointv3.ClusterLoadAssignment{ClusterName: adsCluster,
			Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{{
				HostIdentifier: &endpointv3.LbEndpoint_Endpoint{
					Endpoint: &endpointv3.Endpoint{Address: xds.Address(host, port)}}}}}}},
	}
	if net.ParseIP(host) != nil {
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
	}
	if o.ServerIdentity != "" {
		c.TransportSocket = o.serverTLS()
	}
	return c, nil
}

// serverTLS proves who the proxy is, and checks that the server is the one that
// it should be: any workload has a certificate of the same CA.
func (o Options) serverTLS() *corev3.TransportSocket {
	identity := &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: o.ServerIdentity}}
	return &corev3.TransportSocket{Name: "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: xds.Any(&tlsv3.UpstreamTlsContext{
			CommonTlsContext: &tlsv3.CommonTlsContext{
				TlsParams:                      &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2},
				AlpnProtocols:                  []string{"h2"},
				TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{o.secret(envoy.SecretIdentity)},
				ValidationContextType: &tlsv3.CommonTlsContext_CombinedValidationContext{
					CombinedValidationContext: &tlsv3.CommonTlsContext_CombinedCertificateValidationContext{
						DefaultValidationContext: &tlsv3.CertificateValidationContext{
							MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{{
								SanType: tlsv3.SubjectAltNameMatcher_URI, Matcher: identity}}},
						ValidationContextSdsSecretConfig: o.secret(envoy.SecretRoots)}},
			}})}}
}

// secrets are what the listeners and clusters of the envoy back end name.
func (o Options) secrets() []*tlsv3.Secret {
	if !o.Files.given() {
		return nil
	}
	return []*tlsv3.Secret{
		{Name: envoy.SecretIdentity, Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: file(o.Files.Cert), PrivateKey: file(o.Files.Key), WatchedDirectory: directory(o.Files.Cert)}}},
		{Name: envoy.SecretRoots, Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
			TrustedCa: file(o.Files.CA), WatchedDirectory: directory(o.Files.CA)}}},
	}
}

// Secrets makes the files of SecretsDir, by name. They hold paths, not keys.
func Secrets(o Options) (map[string][]byte, error) {
	o, err := o.normalise()
	if err != nil {
		return nil, fmt.Errorf("making secrets: %w", err)
	}
	out := map[string][]byte{}
	for _, s := range o.secrets() {
		response := &discoveryv3.DiscoveryResponse{Resources: []*anypb.Any{xds.Any(s)}}
		if out[s.GetName()+".yaml"], err = render(response); err != nil { // all JSON is YAML
			return nil, fmt.Errorf("making secrets: %w", err)
		}
	}
	return out, nil
}

// secret names a secret, and says where it comes from if not from the bootstrap.
func (o Options) secret(name string) *tlsv3.SdsSecretConfig {
	s := &tlsv3.SdsSecretConfig{Name: name}
	if o.SecretsDir != "" {
		s.SdsConfig = &corev3.ConfigSource{ResourceApiVersion: corev3.ApiVersion_V3,
			ConfigSourceSpecifier: &corev3.ConfigSource_PathConfigSource{PathConfigSource: &corev3.PathConfigSource{
				Path: filepath.Join(o.SecretsDir, name+".yaml"), WatchedDirectory: &corev3.WatchedDirectory{Path: o.SecretsDir}}}}
	}
	return s
}

func file(path string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: path}}
}

func directory(path string) *corev3.WatchedDirectory {
	return &corev3.WatchedDirectory{Path: filepath.Dir(path)}
}
