package grpc

import (
	"cmp"
	"errors"
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
	// to is the port of a Service whose endpoints these are; its Service is empty
	// where there is nobody.
	to ir.ServicePort
	// fails says why calls to the Service's own pods fail, or is empty.
	fails string
}

func readCluster(w interpret.World, trustDomain string, c *clusterv3.Cluster) (cluster, error) {
	out := cluster{}
	switch eds := c.GetEdsClusterConfig(); {
	case c.GetType() != clusterv3.Cluster_EDS:
		return out, fmt.Errorf("type %s is not understood", c.GetType())
	case eds.GetEdsConfig().GetAds() == nil && eds.GetEdsConfig().GetSelf() == nil:
		return out, errors.New("endpoints that do not come by the stream itself are refused")
	case c.GetLbPolicy() != clusterv3.Cluster_ROUND_ROBIN && c.GetLoadBalancingPolicy() == nil:
		return out, fmt.Errorf("lb_policy %s is refused", c.GetLbPolicy())
	case len(c.GetTransportSocketMatches()) > 0:
		return out, errors.New("transport_socket_matches are refused")
	case eds.GetServiceName() != "":
		out.to = xds.ServicePort(eds.GetServiceName())
	default:
		out.to = xds.ServicePort(c.GetName())
	}
	if out.to.Service == (ir.Name{}) {
		return out, nil
	}
	return out, out.secure(w, trustDomain, c.GetTransportSocket())
}

// secure reads how a client proves who it is and whom it takes for the server. One
// that hides who it is, or that turns the Service's own pods away, does not reach them.
func (c *cluster) secure(w interpret.World, trustDomain string, s *corev3.TransportSocket) error {
	if s == nil {
		c.fails = "the client does not prove who it is"
		return nil
	}
	context := &tlsv3.UpstreamTlsContext{}
	if err := xds.UnpackTo(s.GetTypedConfig(), context); err != nil {
		return err
	}
	tls, err := readTLS(s.GetName(), context.GetCommonTlsContext())
	switch {
	case err != nil:
		return err
	case !tls.Verifies:
		return errors.New("a client that does not check the server's certificate is refused")
	case !tls.Proves:
		c.fails = "the client does not prove who it is"
	}
	c.fails = cmp.Or(tls.Refuses(w.Servers[c.to], trustDomain), c.fails)
	return nil
}

// readTLS reads what both sides of TLS have: certificates come from provider
// instances of the bootstrap, and from nowhere else.
func readTLS(name string, c *tlsv3.CommonTlsContext) (xds.Secured, error) {
	if name != "envoy.transport_sockets.tls" {
		return xds.Secured{}, fmt.Errorf("transport socket %q is refused", name)
	}
	if len(c.GetTlsCertificateSdsSecretConfigs()) > 0 || len(c.GetTlsCertificates()) > 0 || c.GetValidationContextSdsSecretConfig() != nil || len(c.GetAlpnProtocols()) > 0 {
		return xds.Secured{}, errors.New("secrets, and protocols of TLS, are refused")
	}
	validation := c.GetValidationContext()
	if combined := c.GetCombinedValidationContext(); combined != nil {
		validation = combined.GetDefaultValidationContext()
	}
	out := xds.Secured{Proves: c.GetTlsCertificateProviderInstance().GetInstanceName() != "",
		Verifies: validation.GetCaCertificateProviderInstance().GetInstanceName() != ""}
	for _, m := range validation.GetMatchSubjectAltNames() { //nolint:staticcheck // gRPC reads no newer field
		if err := out.Expect(m); err != nil {
			return out, err
		}
	}
	return out, nil
}
