package grpc

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

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
		out.to = servicePort(eds.GetServiceName())
	default:
		out.to = servicePort(c.GetName())
	}
	if out.to.Service == (ir.Name{}) {
		return out, nil
	}
	return out, out.secure(w, trustDomain, c.GetTransportSocket())
}

// servicePort reads what endpoints are of: "reviews.shop:9080", or
// "reviews.shop" for whichever port is called. The name of a Service has no dot.
func servicePort(name string) ir.ServicePort {
	name, port, _ := strings.Cut(name, ":")
	service, namespace, ok := strings.Cut(name, ".")
	n, err := strconv.ParseInt(port, 10, 32)
	if !ok || port != "" && err != nil {
		return ir.ServicePort{}
	}
	return ir.ServicePort{Service: ir.Name{Namespace: namespace, Name: service}, Port: int32(n)}
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
	case !tls.verifies:
		return errors.New("a client that does not check the server's certificate is refused")
	case !tls.proves:
		c.fails = "the client does not prove who it is"
	}
	for _, id := range w.Servers[c.to] {
		if uri := id.URI(trustDomain); !tls.accepts(uri) {
			c.fails = uri + " is not taken for the server"
		}
	}
	return nil
}

// secured is what TLS demands of the other side.
type secured struct {
	// proves: an own certificate is shown. verifies: the other's is checked.
	proves, verifies bool
	names            []func(string) bool
}

// readTLS reads what both sides of TLS have: certificates come from provider
// instances of the bootstrap, and from nowhere else.
func readTLS(name string, c *tlsv3.CommonTlsContext) (secured, error) {
	if name != "envoy.transport_sockets.tls" {
		return secured{}, fmt.Errorf("transport socket %q is refused", name)
	}
	if len(c.GetTlsCertificateSdsSecretConfigs()) > 0 || len(c.GetTlsCertificates()) > 0 || c.GetValidationContextSdsSecretConfig() != nil || len(c.GetAlpnProtocols()) > 0 {
		return secured{}, errors.New("secrets, and protocols of TLS, are refused")
	}
	validation := c.GetValidationContext()
	if combined := c.GetCombinedValidationContext(); combined != nil {
		validation = combined.GetDefaultValidationContext()
	}
	out := secured{proves: c.GetTlsCertificateProviderInstance().GetInstanceName() != "",
		verifies: validation.GetCaCertificateProviderInstance().GetInstanceName() != ""}
	for _, m := range validation.GetMatchSubjectAltNames() { //nolint:staticcheck // gRPC reads no newer field
		one, err := xds.StringMatcher(m)
		if err != nil {
			return out, err
		}
		out.names = append(out.names, one)
	}
	return out, nil
}

// accepts reports whether the other side may be called so: whoever it is where
// no name is asked for.
func (s secured) accepts(uri string) bool {
	for _, one := range s.names {
		if one(uri) {
			return true
		}
	}
	return len(s.names) == 0
}
