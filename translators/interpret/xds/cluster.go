package xds

import (
	"slices"
	"strconv"
	"strings"

	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/meshknot/meshknot/translators/ir"
)

// ServicePort reads what the endpoints of a cluster are of: "reviews.shop:9080", or
// "reviews.shop" for whichever port is called. The name of a Service has no dot. It
// is zero for a name of another kind.
func ServicePort(name string) ir.ServicePort {
	name, port, _ := strings.Cut(name, ":")
	service, namespace, ok := strings.Cut(name, ".")
	n, err := strconv.ParseInt(port, 10, 32)
	if !ok || port != "" && err != nil {
		return ir.ServicePort{}
	}
	return ir.ServicePort{Service: ir.Name{Namespace: namespace, Name: service}, Port: int32(n)}
}

// Secured is what TLS demands of the other side.
type Secured struct {
	// Proves: an own certificate is shown. Verifies: the other's is checked.
	Proves, Verifies bool
	names            []func(string) bool
}

// Expect adds a name that the other side may have.
func (s *Secured) Expect(m *matcherv3.StringMatcher) error {
	holds, err := StringMatcher(m)
	if err == nil {
		s.names = append(s.names, holds)
	}
	return err
}

// Accepts reports whether the other side may be called so: whoever it is where
// no name is asked for.
func (s Secured) Accepts(uri string) bool {
	return len(s.names) == 0 || slices.ContainsFunc(s.names, func(holds func(string) bool) bool { return holds(uri) })
}

// Refuses says which of some servers is not taken for the right one, or nothing.
func (s Secured) Refuses(servers []ir.Identity, trustDomain string) string {
	for _, id := range slices.Backward(servers) {
		if uri := id.URI(trustDomain); !s.Accepts(uri) {
			return uri + " is not taken for the server"
		}
	}
	return ""
}
