package ir

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/meshknot/meshknot/translators/report"
)

// Gateway is where calls from outside the mesh come in. Its proxies have an
// identity of their own, by which workloads know them.
type Gateway struct {
	Namespace string     `json:"namespace"`
	Name      string     `json:"name"`
	Ref       report.Ref `json:"ref"`
	// Class is the name of its GatewayClass.
	Class string `json:"class"`
	// Identity of its proxies.
	Identity Identity `json:"identity"`
	// Ports that are listened on, by number; only those with a good listener.
	Ports []GatewayPort `json:"ports"`
}

// GatewayPort is a port on which a Gateway listens.
type GatewayPort struct {
	Number int32 `json:"number"`
	// Protocol is HTTP. A request for a host name without a VirtualHost gets 404.
	Protocol Protocol `json:"protocol"`
	// Listeners that share the port, by name.
	Listeners []Listener `json:"listeners"`
	Ref       report.Ref `json:"ref"`
}

// Listener is a named host name on a port: exact, "*.example.com", or "*".
type Listener struct {
	Name string     `json:"name"`
	Host string     `json:"host"`
	Ref  report.Ref `json:"ref"`
}

// VirtualHost is one host name on one port of a Gateway. The most specific host
// name that covers a request's own takes it: an exact one, then the longest
// "*.suffix" (which covers one label or more, not the suffix itself), then "*".
// The port in a request's Host header, and its letter case, do not count.
type VirtualHost struct {
	Gateway Name  `json:"gateway"`
	Port    int32 `json:"port"`
	// Host is lower case: exact, "*.example.com" or "*".
	Host string     `json:"host"`
	Ref  report.Ref `json:"ref"`
	// Identity of the Gateway's proxies, who call the backends.
	Identity Identity `json:"identity"`
	// Routes in order: the first whose matches hold is taken. The last one always
	// matches everything.
	Routes []Route `json:"routes"`
}

// Same reports whether two units say the same. Where routes share their lists that
// is seen at once.
func (u Unit) Same(o Unit) bool {
	if u.VirtualHost == nil || o.VirtualHost == nil {
		return reflect.DeepEqual(u, o)
	}
	a, b := *u.VirtualHost, *o.VirtualHost
	if !slices.EqualFunc(a.Routes, b.Routes, Route.Same) {
		return false
	}
	a.Routes, b.Routes = nil, nil
	return reflect.DeepEqual(a, b)
}

// VirtualHostName is the name in a VirtualHost's key, within the Gateway's namespace.
func VirtualHostName(gateway string, port int32, host string) string {
	return fmt.Sprintf("%s:%d:%s", gateway, port, host)
}

// ParseVirtualHostName is the reverse of VirtualHostName.
func ParseVirtualHostName(name string) (gateway string, port int32, host string) {
	gateway, rest, _ := strings.Cut(name, ":")
	number, host, _ := strings.Cut(rest, ":")
	n, _ := strconv.ParseInt(number, 10, 32)
	return gateway, int32(n), host
}

// RouteObject names a route object of whatever kind.
type RouteObject struct{ Kind, Namespace, Name string }

// RouteName is the name in the key of a Route, within the object's namespace.
func RouteName(kind, name string) string { return kind + "/" + name }

// ParseRouteName is the reverse of RouteName.
func ParseRouteName(s string) (kind, name string) {
	kind, name, _ = strings.Cut(s, "/")
	return kind, name
}
