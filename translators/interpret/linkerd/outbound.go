package linkerd

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret/routes"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// outbound is what callers' proxies are told.
type outbound struct {
	// attached are the routes at a port of a Service; zero is all ports.
	attached map[ir.ServicePort][]*routes.Route
	// profiles hide the routes of their Services.
	profiles map[ir.Name]translators.ID
}

func (o *outbound) attach(r *routes.Route, p routes.Parent) {
	at := ir.ServicePort{Service: p.Name, Port: p.Port}
	if !slices.Contains(o.attached[at], r) {
		o.attached[at] = append(o.attached[at], r)
	}
}

func (o *outbound) sort() {
	for _, all := range o.attached {
		routes.Sort(all)
	}
}

// of returns the routes that count for a call, which are of one kind, in order.
func (o *outbound) of(q semantics.Request) []*routes.Route {
	if _, hidden := o.profiles[q.Service]; hidden {
		return nil
	}
	namespace := ""
	if q.From != nil {
		namespace = q.From.Namespace
	}
	all := slices.Concat(o.attached[ir.ServicePort{Service: q.Service, Port: q.Port}], o.attached[ir.ServicePort{Service: q.Service}])
	all = slices.DeleteFunc(all, func(r *routes.Route) bool {
		return r.Name.Namespace != q.Service.Namespace && r.Name.Namespace != namespace
	})
	for _, kind := range []string{routes.GRPCRoute, routes.HTTPRoute, routes.TCPRoute} {
		some := slices.DeleteFunc(slices.Clone(all), func(r *routes.Route) bool { return r.Kind != kind })
		if len(some) > 0 {
			routes.Sort(some)
			return some
		}
	}
	return nil
}

type wireProfile struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Metadata   routes.Metadata `json:"metadata"`
	Spec       struct {
		DstOverrides []any `json:"dstOverrides"`
		Routes       []any `json:"routes"`
	} `json:"spec"`
}

// addProfile reads a ServiceProfile, whose name is that of the Service in the DNS.
func (o *outbound) addProfile(a translators.Artifact) error {
	var w wireProfile
	if err := routes.Decode(a, &w); err != nil {
		return err
	}
	parts := strings.Split(w.Metadata.Name, ".")
	if len(parts) < 3 || parts[2] != "svc" || len(w.Spec.DstOverrides) > 0 {
		return fmt.Errorf("%s %s: it is no Service's, or sends calls elsewhere, which is not known here", a.ID.Type, a.ID.Name)
	}
	o.profiles[ir.Name{Namespace: parts[1], Name: parts[0]}] = a.ID
	return nil
}

// requestTimeout is the annotation that counts before what the rules say. It is
// for the route as a whole.
const requestTimeout = "timeout.linkerd.io/request"

// readTimeouts lets annotations speak for the rules of a route.
func readTimeouts(r *routes.Route) error {
	for _, other := range []string{"timeout.linkerd.io/response", "timeout.linkerd.io/idle"} {
		if r.Annotations[other] != "" {
			return fmt.Errorf("%s %s: %s is not known here", r.ID.Type, r.ID.Name, other)
		}
	}
	text, said := r.Annotations[requestTimeout]
	if !said {
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return fmt.Errorf("%s %s: %s: %q is no duration", r.ID.Type, r.ID.Name, requestTimeout, text)
	}
	for i := range r.Rules {
		r.Rules[i].Timeout.Request = d
	}
	return nil
}

// order is how matches are compared.
type order struct{ methodFirst bool }

// rank says how specific a match is; the greater is taken.
type rank [4]int

func (o order) rank(length int, m routes.Match) rank {
	method := 0
	if m.Method != "" {
		method = 1
	}
	if o.methodFirst {
		return rank{length, method, len(m.Headers), len(m.Query)}
	}
	return rank{length, len(m.Headers), len(m.Query), method}
}

// find returns the rule with the most specific match of those that hold, and its
// route: the first of equals.
func (o order) find(all []*routes.Route, q semantics.Request) (*routes.Route, *routes.Rule) {
	var route *routes.Route
	var rule *routes.Rule
	var best rank
	for _, r := range all {
		for i := range r.Rules {
			for _, m := range r.Rules[i].Matches {
				k, ok := o.holds(r.Kind, m, q)
				if ok && (rule == nil || slices.Compare(k[:], best[:]) > 0) {
					route, rule, best = r, &r.Rules[i], k
				}
			}
		}
	}
	return route, rule
}

// holds reports whether a request fulfils a match, and how specific that is.
func (o order) holds(kind string, m routes.Match, q semantics.Request) (rank, bool) {
	path, query := routes.Target(q.Path)
	if m.Method != "" && m.Method != q.Method || !routes.HeadersHold(m.Headers, q.Headers) || !parametersHold(m.Query, query) {
		return rank{}, false
	}
	if kind == routes.GRPCRoute {
		service, call, ok := called(path)
		if !ok || m.Service != nil && !m.Service.Holds(service) || m.Call != nil && !m.Call.Holds(call) {
			return rank{}, false
		}
		k := rank{0, 0, len(m.Headers)}
		if m.Service != nil {
			k[0] = len(service)
		}
		if m.Call != nil {
			k[1] = len(call)
		}
		return k, true
	}
	length, ok := pathHolds(m.Path, path)
	return o.rank(length, m), ok
}

// called reads a path as the method of a gRPC service.
func called(path string) (service, method string, ok bool) {
	service, method, ok = strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return service, method, ok && strings.HasPrefix(path, "/") && service != "" && !strings.Contains(method, "/")
}

// pathHolds reports whether a path is fulfilled, and how much of it counts.
func pathHolds(c routes.Condition, path string) (length int, ok bool) {
	switch {
	case c.Type != routes.PathPrefix:
		return len(path), c.Holds(path)
	case c.Value == "/":
		return 1, true
	}
	prefix := strings.TrimRight(c.Value, "/")
	return len(prefix), routes.UnderPath(prefix, strings.TrimRight(path, "/"))
}

// parametersHold: any occurrence of a parameter will do, and names and values are
// decoded as those of a form are.
func parametersHold(conditions []routes.Condition, query string) bool {
	if len(conditions) == 0 {
		return true
	}
	values := map[string][]string{}
	for _, pair := range strings.Split(query, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		values[decoded(name)] = append(values[decoded(name)], decoded(value))
	}
	return !slices.ContainsFunc(conditions, func(c routes.Condition) bool {
		return !slices.ContainsFunc(values[c.Name], c.Holds)
	})
}

// decoded decodes a part of a form. What is no escape stays as it is.
func decoded(s string) string {
	if text, err := url.QueryUnescape(s); err == nil {
		return strings.ToValidUTF8(text, "\uFFFD")
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		end := min(i+3, len(s))
		text, err := url.QueryUnescape(s[i:end])
		switch {
		case s[i] == '%' && err == nil && end == i+3:
			b.WriteString(text)
			i += 2
		case s[i] == '+':
			b.WriteByte(' ')
		default:
			b.WriteByte(s[i])
		}
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD")
}
