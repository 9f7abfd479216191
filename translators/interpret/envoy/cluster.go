package envoy

import (
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
		out.to = servicePort(name)
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

// servicePort reads what the endpoints are of: "reviews.shop:9080", or
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
	secured, err := readTLS(context.GetCommonTlsContext())
	if err != nil {
		return err
	}
	c.alpn = secured.alpn
	if !secured.proves || !secured.verifies {
		c.fails = "caller and server do not prove who they are"
		return nil
	}
	for _, id := range w.Servers[c.to] {
		if uri := id.URI(trustDomain); !secured.accepts(uri) {
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
	alpn             []string
}

func readTLS(c *tlsv3.CommonTlsContext) (secured, error) {
	out := secured{alpn: c.GetAlpnProtocols()}
	for _, s := range c.GetTlsCertificateSdsSecretConfigs() {
		out.proves = out.proves || s.GetName() != ""
	}
	combined := c.GetCombinedValidationContext()
	out.verifies = combined.GetValidationContextSdsSecretConfig().GetName() != ""
	for _, m := range combined.GetDefaultValidationContext().GetMatchTypedSubjectAltNames() {
		if m.GetSanType() != tlsv3.SubjectAltNameMatcher_URI {
			return out, fmt.Errorf("a name of type %s is not understood", m.GetSanType())
		}
		one, err := xds.StringMatcher(m.GetMatcher())
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

func socket(a *corev3.Address) string {
	return fmt.Sprintf("%s:%d", a.GetSocketAddress().GetAddress(), a.GetSocketAddress().GetPortValue())
}
