package envoy

import (
	"slices"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/xds"
)

// What a bootstrap must say for the resources of this package to be accepted
// and to behave as the table of the back end claims.
const (
	// RuntimeRegexLimit is the runtime key of the largest regular expression
	// that Envoy accepts; its own default refuses ordinary ones.
	RuntimeRegexLimit = "re2.max_program_size.error_level"
	// MinRegexLimit is the least value that the key must have.
	MinRegexLimit = 1 << 20
	// SecretIdentity is the SDS name of the proxy's own certificate and key.
	SecretIdentity = "default"
	// SecretRoots is the SDS name of the authorities that identities are checked with.
	SecretRoots = "ROOTCA"
	// OutboundPort is where connections that leave a pod are redirected to.
	OutboundPort = 15001
	// InboundPort is where connections that come to a pod are redirected to.
	InboundPort = 15006
)

// off is a timeout that never ends anything.
func off() *durationpb.Duration { return durationpb.New(0) }

// plainAction switches off what Envoy would do to a request without being asked:
// it neither ends it after a while nor sends it again.
func plainAction(a *routev3.RouteAction) {
	a.Timeout = off()
	a.IdleTimeout = off()
	a.RetryPolicy = &routev3.RetryPolicy{NumRetries: wrapperspb.UInt32(0)}
}

// connectionManager handles HTTP. Paths are normalised before anybody compares
// them: unreserved escapes decoded and dot segments removed, then slashes
// merged, while an escaped slash stays what it is. The host keeps its port, for
// a condition on it compares the whole value.
func connectionManager(stat string, filters ...*hcmv3.HttpFilter) *hcmv3.HttpConnectionManager {
	router := httpFilter("envoy.filters.http.router", &routerv3.Router{SuppressEnvoyHeaders: true})
	return &hcmv3.HttpConnectionManager{
		CodecType:                    hcmv3.HttpConnectionManager_AUTO,
		StatPrefix:                   stat,
		HttpFilters:                  append(slices.Clip(filters), router),
		NormalizePath:                wrapperspb.Bool(true),
		MergeSlashes:                 true,
		PathWithEscapedSlashesAction: hcmv3.HttpConnectionManager_KEEP_UNCHANGED,
		StreamIdleTimeout:            off(),
		RequestTimeout:               off(),
		RequestHeadersTimeout:        off(),
		UseRemoteAddress:             wrapperspb.Bool(false),
		GenerateRequestId:            wrapperspb.Bool(false),
		ServerHeaderTransformation:   hcmv3.HttpConnectionManager_PASS_THROUGH,
		UpgradeConfigs:               []*hcmv3.HttpConnectionManager_UpgradeConfig{{UpgradeType: "websocket"}},
	}
}

func httpFilter(name string, config proto.Message) *hcmv3.HttpFilter {
	return &hcmv3.HttpFilter{Name: name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: xds.Any(config)}}
}

func networkFilter(name string, config proto.Message) *listenerv3.Filter {
	return &listenerv3.Filter{Name: name, ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: xds.Any(config)}}
}

func httpConnectionManager(m *hcmv3.HttpConnectionManager) *listenerv3.Filter {
	return networkFilter("envoy.filters.network.http_connection_manager", m)
}

// tcpProxy forwards bytes to clusters by weight.
func tcpProxy(stat string, shares ...xds.Share) *listenerv3.Filter {
	p := &tcpv3.TcpProxy{StatPrefix: stat, IdleTimeout: off()}
	if len(shares) == 1 {
		p.ClusterSpecifier = &tcpv3.TcpProxy_Cluster{Cluster: shares[0].Cluster}
	} else {
		w := &tcpv3.TcpProxy_WeightedCluster{}
		for _, s := range shares {
			w.Clusters = append(w.Clusters, &tcpv3.TcpProxy_WeightedCluster_ClusterWeight{Name: s.Cluster, Weight: s.Weight})
		}
		p.ClusterSpecifier = &tcpv3.TcpProxy_WeightedClusters{WeightedClusters: w}
	}
	return networkFilter("envoy.filters.network.tcp_proxy", p)
}

// to sends everything to one cluster.
func to(cluster string) xds.Share { return xds.Share{Cluster: cluster, Weight: 1} }

// speak sets the protocol that is spoken to the endpoints of a cluster: what the
// input says or, where it says only HTTP, the version that the caller speaks.
func speak(c *clusterv3.Cluster, p ir.Protocol) {
	o := &httpv3.HttpProtocolOptions{}
	switch {
	case !p.IsHTTP():
		return
	case p == ir.HTTP:
		o.UpstreamProtocolOptions = &httpv3.HttpProtocolOptions_UseDownstreamProtocolConfig{
			UseDownstreamProtocolConfig: &httpv3.HttpProtocolOptions_UseDownstreamHttpConfig{
				HttpProtocolOptions: &corev3.Http1ProtocolOptions{}, Http2ProtocolOptions: &corev3.Http2ProtocolOptions{}}}
	default:
		o.UpstreamProtocolOptions = &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{
			ExplicitHttpConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
					Http2ProtocolOptions: &corev3.Http2ProtocolOptions{}}}}
	}
	c.TypedExtensionProtocolOptions = map[string]*anypb.Any{
		"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": xds.Any(o)}
}

// inspectionTimeout is how long a listener waits to see whether a caller speaks
// TLS; a caller that lets the server speak first is then taken to speak plainly.
const inspectionTimeout = 5 * time.Second
