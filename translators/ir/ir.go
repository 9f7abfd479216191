// Package ir is the model: what was asked for, in the words of no API and no
// mesh. It is plain, sorted, printable data joined by keys. Nothing in it knows
// SMI, Gateway API, Kubernetes or Envoy; nothing in it carries a file position.
//
// Two conventions hold throughout. An empty list means none, never all: where
// all is meant there is a value for it. An invalid thing is kept as a value
// with a reason, so that nobody can forget it.
//
// The model is internal for ever: it is printed for people and compared by
// tests, and its shape may change with any release.
package ir

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/report"
)

// UnitKind is the kind of a unit, the piece of the model that is compiled alone.
type UnitKind string

// The kinds of units, in the order in which they are compiled and printed.
const (
	// KindMesh is the one unit of what holds for every proxy.
	KindMesh UnitKind = "Mesh"
	// KindNamespace holds what a namespace says for workloads nobody has named.
	KindNamespace UnitKind = "Namespace"
	// KindService is the client side: where calls to a name go.
	KindService UnitKind = "Service"
	// KindWorkload is the server side: who may call a namespace's account.
	KindWorkload UnitKind = "Workload"
	// KindGateway is where calls from outside come in: the ports that are listened on.
	KindGateway UnitKind = "Gateway"
	// KindVirtualHost is one host name on one port of a Gateway, and its routes.
	KindVirtualHost UnitKind = "VirtualHost"
	// KindEndpoints are the addresses behind a Service; they travel their own path.
	KindEndpoints UnitKind = "Endpoints"
	// KindRoute is a route object as those that it names as parents see it. Nothing
	// is made of it: it is where they say what they do not take.
	KindRoute UnitKind = "Route"
)

var kindOrder = []UnitKind{KindMesh, KindNamespace, KindService, KindWorkload, KindGateway, KindVirtualHost, KindEndpoints, KindRoute}

// Key names a unit. The Mesh unit has neither namespace nor name, a Namespace
// unit only a name. A Workload is named by its ServiceAccount, a VirtualHost as
// VirtualHostName says, a Route by its kind and name with a slash between them.
type Key struct {
	Kind      UnitKind
	Namespace string
	Name      string
}

// String renders "Service shop/reviews".
func (k Key) String() string {
	return strings.TrimRight(string(k.Kind)+" "+Name{k.Namespace, k.Name}.String(), " ")
}

// Compare orders keys by kind, namespace and name.
func (k Key) Compare(o Key) int {
	return cmp.Or(cmp.Compare(slices.Index(kindOrder, k.Kind), slices.Index(kindOrder, o.Kind)),
		strings.Compare(k.Namespace, o.Namespace), strings.Compare(k.Name, o.Name))
}

// Name is a namespaced name.
type Name struct{ Namespace, Name string }

// String renders "shop/reviews".
func (n Name) String() string {
	if n.Namespace == "" {
		return n.Name
	}
	return n.Namespace + "/" + n.Name
}

// MarshalText renders n as String does, so that it can key a JSON object.
func (n Name) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (n *Name) UnmarshalText(b []byte) error {
	ns, name, ok := strings.Cut(string(b), "/")
	if !ok {
		ns, name = "", ns
	}
	if strings.Contains(name, "/") {
		return fmt.Errorf("%q is not namespace/name", b)
	}
	*n = Name{ns, name}
	return nil
}

// Compare orders names by namespace, then name.
func (n Name) Compare(o Name) int {
	return cmp.Or(strings.Compare(n.Namespace, o.Namespace), strings.Compare(n.Name, o.Name))
}

// Unit is one piece of the model: exactly one of its fields is set.
type Unit struct {
	Mesh        *Mesh        `json:"mesh,omitempty"`
	Namespace   *Namespace   `json:"namespace,omitempty"`
	Service     *Service     `json:"service,omitempty"`
	Workload    *Workload    `json:"workload,omitempty"`
	Gateway     *Gateway     `json:"gateway,omitempty"`
	VirtualHost *VirtualHost `json:"virtualHost,omitempty"`
	Endpoints   *Endpoints   `json:"endpoints,omitempty"`
	// Route is set while a Route is compiled; no unit comes of it.
	Route *RouteObject `json:"-"`
}

// Key returns the key of the unit that is set.
func (u Unit) Key() Key {
	switch {
	case u.Namespace != nil:
		return Key{Kind: KindNamespace, Name: u.Namespace.Name}
	case u.Service != nil:
		return Key{KindService, u.Service.Namespace, u.Service.Name}
	case u.Workload != nil:
		return Key{KindWorkload, u.Workload.Namespace, u.Workload.Account}
	case u.Gateway != nil:
		return Key{KindGateway, u.Gateway.Namespace, u.Gateway.Name}
	case u.VirtualHost != nil:
		v := u.VirtualHost
		return Key{KindVirtualHost, v.Gateway.Namespace, VirtualHostName(v.Gateway.Name, v.Port, v.Host)}
	case u.Endpoints != nil:
		return Key{KindEndpoints, u.Endpoints.Namespace, u.Endpoints.Name}
	case u.Route != nil:
		return Key{KindRoute, u.Route.Namespace, RouteName(u.Route.Kind, u.Route.Name)}
	}
	return Key{Kind: KindMesh}
}

// Access says what happens to a call that no grant allows.
type Access string

// The access modes of a run, and with AccessSelected what the rest denies.
const (
	// AccessSelected: a workload that any object names as destination denies
	// what is not granted; all others are open.
	AccessSelected Access = "selected"
	// AccessStrict: every workload denies what is not granted.
	AccessStrict Access = "strict"
	// AccessOff: nothing is denied.
	AccessOff Access = "off"
)

// Mesh is what holds for every proxy.
type Mesh struct {
	Access Access `json:"access"`
}

// Namespace is what a namespace says for workloads that nobody has named.
// The unit exists only where the namespace denies by default.
type Namespace struct {
	Name string `json:"name"`
	// Enforced: a workload without a unit of its own denies every call.
	Enforced bool `json:"enforced"`
	// Alone: the mesh as a whole does not deny by default, so nothing but this unit
	// says it for the namespace.
	Alone bool `json:"alone,omitempty"`
}

// Protocol is what is spoken on a port.
type Protocol string

// The protocols. HTTP covers every version; HTTP2 and GRPC are told apart where
// the input says so, for some back ends need to know.
const (
	HTTP  Protocol = "HTTP"
	HTTP2 Protocol = "HTTP2"
	GRPC  Protocol = "GRPC"
	TCP   Protocol = "TCP"
	UDP   Protocol = "UDP"
)

// IsHTTP reports whether requests can be told apart on p.
func (p Protocol) IsHTTP() bool { return p == HTTP || p == HTTP2 || p == GRPC }

// Service is the client side of a Kubernetes Service: where calls to it go.
type Service struct {
	Namespace string     `json:"namespace"`
	Name      string     `json:"name"`
	Ref       report.Ref `json:"ref"`
	// Inferred: no Service object was given; that it exists, and its port, is
	// concluded from an object that names it.
	Inferred bool `json:"inferred,omitempty"`
	// Addresses are the cluster addresses; none where unknown or headless.
	Addresses []string `json:"addresses,omitempty"`
	Headless  bool     `json:"headless,omitempty"`
	Ports     []Port   `json:"ports"`
}

// AnyPort stands for "every port, whichever they are": the number of the one
// Port of an inferred Service, and of a grant to a workload whose Services are
// not known. On a Backend it means the port that was called.
const AnyPort int32 = 0

// Port is one port of a Service with its routes.
type Port struct {
	Number   int32    `json:"number"`
	Name     string   `json:"name,omitempty"`
	Protocol Protocol `json:"protocol"`
	// TLS: what is said on a TCP port is encrypted by those who say it.
	TLS bool `json:"tls,omitempty"`
	// Servers are the accounts known to answer at the Service's own endpoints; none
	// when unknown.
	Servers []Identity `json:"servers,omitempty"`
	// Routes in order: the first whose matches hold is taken. The last one
	// always matches everything, so no request is left without a route.
	Routes []Route `json:"routes"`
	// Views replace Routes as a whole for the callers of a namespace; sorted by it.
	Views []View     `json:"views,omitempty"`
	Ref   report.Ref `json:"ref"`
}

// View is the routes of a port as the callers of one namespace see them. What
// holds for Port.Routes holds for these.
type View struct {
	Namespace string  `json:"namespace"`
	Routes    []Route `json:"routes"`
}

// RoutesFor returns the routes for callers of a namespace.
func (p Port) RoutesFor(namespace string) []Route {
	for _, v := range p.Views {
		if v.Namespace == namespace {
			return v.Routes
		}
	}
	return p.Routes
}

// AllRoutes returns Routes and those of every view.
func (p Port) AllRoutes() []Route {
	out := p.Routes
	for _, v := range p.Views {
		out = slices.Concat(out, v.Routes)
	}
	return out
}

// Identity is a caller or a server: an account of a namespace in the mesh's own
// trust domain or, where SPIFFE is set, that identity verbatim.
type Identity struct {
	Namespace string `json:"namespace,omitempty"`
	Account   string `json:"account,omitempty"`
	SPIFFE    string `json:"spiffe,omitempty"`
}

// URI returns the SPIFFE URI of the identity in a trust domain.
func (i Identity) URI(trustDomain string) string {
	if i.SPIFFE != "" {
		return i.SPIFFE
	}
	return "spiffe://" + trustDomain + "/ns/" + i.Namespace + "/sa/" + i.Account
}

// Compare orders identities.
func (i Identity) Compare(o Identity) int {
	return cmp.Or(strings.Compare(i.Namespace, o.Namespace),
		strings.Compare(i.Account, o.Account), strings.Compare(i.SPIFFE, o.SPIFFE))
}

// Workload is the server side: the pods that run as one account, and who may
// call them.
type Workload struct {
	Namespace string     `json:"namespace"`
	Account   string     `json:"account"`
	Ref       report.Ref `json:"ref"`
	// Pods are the classes of pods known to run as the account; none when
	// nothing is known of them (access is never inferred).
	Pods  []PodClass     `json:"pods,omitempty"`
	Ports []WorkloadPort `json:"ports,omitempty"`
	// OtherPorts are TCP ports that the pods say they have and no Service leads to,
	// sorted: nobody is granted them, and they have to be closed too.
	OtherPorts []int32 `json:"otherPorts,omitempty"`
	// Enforced: what no grant allows is denied. Otherwise every call is allowed.
	Enforced bool `json:"enforced"`
	// NamespaceDenies: the namespace as a whole denies by default, so the deny
	// around the grants holds even where the workload's pods are not known.
	NamespaceDenies bool `json:"namespaceDenies,omitempty"`
	// Because names the objects that make the workload deny by default.
	Because []report.Ref `json:"because,omitempty"`
	// Grants: a call is allowed when any of them allows it.
	Grants []Grant `json:"grants,omitempty"`
	// Probes are answered to callers without an identity, whatever the grants.
	Probes []Probe `json:"probes,omitempty"`
}

// PodClass is what selects pods that are alike: their labels without the
// revision hash, so that a rollout changes nothing.
type PodClass struct {
	Labels map[string]string `json:"labels"`
	// AlsoCatches are other accounts of the namespace whose pods carry all of
	// these labels too, so that a selector by Labels would catch them.
	AlsoCatches []string   `json:"alsoCatches,omitempty"`
	Ref         report.Ref `json:"ref"`
}

// WorkloadPort is a port on which the workload's pods are reached.
type WorkloadPort struct {
	// Number is the target port, on the pod.
	Number   int32    `json:"number"`
	Protocol Protocol `json:"protocol"`
	// Services are the Service ports that lead here.
	Services []ServicePort `json:"services"`
}

// ServicePort is a port of a Service.
type ServicePort struct {
	Service Name  `json:"service"`
	Port    int32 `json:"port"`
}

// String renders "shop/reviews:9080".
func (p ServicePort) String() string { return fmt.Sprintf("%s:%d", p.Service, p.Port) }

// Compare orders service ports.
func (p ServicePort) Compare(o ServicePort) int {
	return cmp.Or(p.Service.Compare(o.Service), cmp.Compare(p.Port, o.Port))
}

// Grant allows calls: source AND port AND request.
type Grant struct {
	// Name is "kind-less" ns/name of the object that grants.
	Name Name       `json:"name"`
	Ref  report.Ref `json:"ref"`
	// Sources: any of them.
	Sources []Source `json:"sources"`
	// Ports: any of them; none means that the grant allows nothing.
	Ports []GrantPort `json:"ports"`
	// Matches: any of them. On ports that are not HTTP only a match for
	// everything can be fulfilled.
	Matches []Match `json:"matches"`
}

// Source is a caller that a grant names.
type Source struct {
	Identity Identity `json:"identity"`
	// Services select pods of the account; none when none is known. They are for
	// meshes in which a caller is a Service.
	Services []Name `json:"services,omitempty"`
	// Lookalikes are other accounts that such a mesh takes for this one: behind
	// the same Services, or behind Services of the same name in other namespaces.
	Lookalikes []Identity `json:"lookalikes,omitempty"`
	Ref        report.Ref `json:"ref"`
}

// GrantPort is a port on the pod that a grant opens, or AnyPort: every HTTP
// port of a workload whose Services are not known.
type GrantPort struct {
	Number int32 `json:"number"`
	// Also are Service ports that the grant does not name but that lead to the
	// same port on the pod, so that a proxy there cannot tell them apart.
	Also []ServicePort `json:"also,omitempty"`
	Ref  report.Ref    `json:"ref"`
}

// Probe is a declared probe of the kubelet, which has no identity.
type Probe struct {
	Port int32 `json:"port"`
	// Protocol is HTTP (GET of Path), GRPC (a health check) or TCP.
	Protocol Protocol   `json:"protocol"`
	Path     string     `json:"path,omitempty"`
	Ref      report.Ref `json:"ref"`
}

// Endpoints are the addresses behind a Service.
type Endpoints struct {
	Namespace string          `json:"namespace"`
	Name      string          `json:"name"`
	Ports     []EndpointsPort `json:"ports"`
}

// EndpointsPort are the addresses behind one port of a Service.
type EndpointsPort struct {
	// Number is the port of the Service, not of the pods.
	Number    int32      `json:"number"`
	Endpoints []Endpoint `json:"endpoints"`
}

// Endpoint is an address where a port is served.
type Endpoint struct {
	Address string `json:"address"`
	Port    int32  `json:"port"`
	Ready   bool   `json:"ready"`
}

// Audience says which proxies an artifact is for. The zero value means all.
type Audience struct {
	Namespace string `json:"namespace,omitempty"`
	Account   string `json:"account,omitempty"`
}

// Includes reports whether a proxy that runs as an account is in the audience.
func (a Audience) Includes(id Identity) bool {
	return (a.Namespace == "" || a.Namespace == id.Namespace) &&
		(a.Account == "" || a.Account == id.Account)
}

// Compare orders audiences: that of everybody first.
func (a Audience) Compare(o Audience) int {
	return cmp.Or(strings.Compare(a.Namespace, o.Namespace), strings.Compare(a.Account, o.Account))
}
