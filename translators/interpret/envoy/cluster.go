package envoy

import (
	"fmt"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/interpret/xds"
	"github.com/meshknot/meshknot/translators/ir"
)

// cluster is where calls are sent.
type cluster struct {
	// onward: wherever the caller wanted to.
	onward bool
	// to is the port of a Service whose endpoints these are; its Service is empty
	// where there is nobody.
	to ir.ServicePort
	// addresses are fixed endpoints, "host:port".
	addresses []string
	// alpn is what is said in the handshake where no HTTP is spoken.
	alpn []string
	// fails says why calls to the Service's own pods fail, or is empty.
	fails string
}

func readCluster(w interpret.World, trustDomain string, c *clusterv3.Cluster) (cluster, error) {
	out := cluster{}
	switch c.GetType() {
	case clusterv3.Cluster_ORIGINAL_DST:
		if c.GetLbPolicy() != clusterv3.Cluster_CLUSTER_PROVIDED {
			return out, fmt.Errorf("lb_policy %s is refused for where the caller wanted to", c.GetLbPolicy())
		}
		out.onward = true
		return out, nil
	case clusterv3.Cluster_EDS:
		if c.GetEdsClusterConfig().GetEdsConfig().GetConfigSourceSpecifier() == nil {
			return out, fmt.Errorf("endpoints come from nowhere")
		}
		name := c.GetEdsClusterConfig().GetServiceName()
		if name == "" {
			name = c.GetName()
		}
		out.to = xds.ServicePort(name)
		return out, out.secure(w, trustDomain, c.GetTransportSocket())
	case clusterv3.Cluster_STATIC:
		for _, locality := range c.GetLoadAssignment().GetEndpoints() {
			for _, e := range locality.GetLbEndpoints() {
				out.addresses = append(out.addresses, socket(e.GetEndpoint().GetAddress()))
			}
		}
		return out, nil
	}
	return out, fmt.Errorf("type %s is not understood", c.GetType())
}

// secure reads how a caller proves who it is and whom it takes for the server.
// A caller that hides who it is, or that turns the Service's own pods away, does
// not reach them.
func (c *cluster) secure(w interpret.World, trustDomain string, s *corev3.TransportSocket) error {
	if s == nil {
		c.fails = "the caller does not prove who it is"
		return nil
	}
	context := &tlsv3.UpstreamTlsContext{}
	if err := xds.UnpackTo(s.GetTypedConfig(), context); err != nil {
		return err
	}
	tls, err := readTLS(context.GetCommonTlsContext())
	if err != nil {
		return err
	}
	c.alpn = context.GetCommonTlsContext().GetAlpnProtocols()
	if !tls.Proves || !tls.Verifies {
		c.fails = "caller and server do not prove who they are"
		return nil
	}
	c.fails = tls.Refuses(w.Servers[c.to], trustDomain)
	return nil
}

func readTLS(c *tlsv3.CommonTlsContext) (xds.Secured, error) {
	out := xds.Secured{}
	for _, s := range c.GetTlsCertificateSdsSecretConfigs() {
		out.Proves = out.Proves || s.GetName() != ""
	}
	combined := c.GetCombinedValidationContext()
	out.Verifies = combined.GetValidationContextSdsSecretConfig().GetName() != ""
	for _, m := range combined.GetDefaultValidationContext().GetMatchTypedSubjectAltNames() {
		if m.GetSanType() != tlsv3.SubjectAltNameMatcher_URI {
			return out, fmt.Errorf("a name of type %s is not understood", m.GetSanType())
		}
		if err := out.Expect(m.GetMatcher()); err != nil {
			return out, err
		}
	}
	return out, nil
}

func socket(a *corev3.Address) string {
	return fmt.Sprintf("%s:%d", a.GetSocketAddress().GetAddress(), a.GetSocketAddress().GetPortValue())
}
