package cluster

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/test/lab"
)

// What examples/bookstore calls things.
const (
	ShopNamespace = "shop"
	ShopBinding   = "shop"
	// Web is who may call reviews.
	Web     = "web"
	reviews = "reviews"
)

// Versions of reviews, and the Services that each has alone.
var Versions = []string{"reviews-v1", "reviews-v2"}

// Shop is examples/bookstore, laid out on this machine as pods on the network of
// their node are: their address is the machine's own, because an API server takes
// no address of loopback as an endpoint, and what is sent to it never leaves the
// machine. The processes themselves listen on loopback; only the proxy of reviews
// listens on that address, and hears nobody without a certificate of this lab.
//
// Two pods of one node cannot have one port. So the Services' targetPort is a name,
// which version 2's pods have for a port of their own, and one proxy stands before
// the processes of both.
type Shop struct {
	cluster *Cluster
	// Echoes are the processes, by version.
	Echoes map[string]*lab.Echo
	// Places are the ports of loopback at which the callers' proxies wait for
	// calls of reviews, by account.
	Places map[string]int32

	address string
	inbound map[string]int32 // where the proxy of reviews listens, by version
}

// servicePort is that of reviews; targets are those of its pods, by version.
const servicePort = 9080

var targets = map[string]int{Versions[0]: 9080, Versions[1]: 9081}

// Shop starts the processes, and applies who is there: namespace, accounts, Services,
// Deployments and where their pods are reached. No policy is among it. Callers are
// accounts that may have proxies; web is one of them in any case.
func (c *Cluster) Shop(callers ...string) (*Shop, error) {
	s := &Shop{cluster: c, Echoes: map[string]*lab.Echo{}, Places: map[string]int32{}, inbound: map[string]int32{}}
	var err error
	if s.address, err = ownAddress(); err != nil {
		return nil, err
	}
	for _, name := range Versions {
		if s.Echoes[name], err = c.Lab.Echo(name); err != nil {
			return nil, err
		}
		if s.inbound[name], err = lab.FreePort(); err != nil {
			return nil, err
		}
	}
	for _, account := range append([]string{Web}, callers...) {
		if s.Places[account], err = lab.FreePort(); err != nil {
			return nil, err
		}
	}
	text, err := s.context()
	if err != nil {
		return nil, err
	}
	return s, c.ApplyYAML(text)
}

// ownAddress is an address of this machine that an API server takes.
func ownAddress() (string, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for _, one := range all {
		if n, ok := one.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String(), nil
		}
	}
	return "", errors.New("this machine has no address but those of loopback, of which an API server takes none as an endpoint")
}

// context is who is there, as documents.
func (s *Shop) context() (string, error) {
	text, err := os.ReadFile(Path("examples", "bookstore", "shop.yaml"))
	if err != nil {
		return "", err
	}
	all := []lab.Object{Object("v1", "Namespace", "", ShopNamespace)}
	for _, account := range append(slices.Sorted(maps.Keys(s.Places)), reviews) {
		all = append(all, Object("v1", "ServiceAccount", ShopNamespace, account))
	}
	for _, document := range strings.Split(string(text), "\n---\n") {
		var o lab.Object
		if err := yaml.Unmarshal([]byte(document), &o); err != nil {
			return "", err
		}
		named(o)
		all = append(all, o)
	}
	for _, version := range Versions {
		all = append(all, s.slice(version, version), s.slice(reviews, version))
	}
	var out []string
	for _, o := range all {
		text, err := yaml.Marshal(o)
		if err != nil {
			return "", err
		}
		out = append(out, string(text))
	}
	return strings.Join(out, "---\n"), nil
}

// named gives the port of a version's pods its number and its name, by which
// Services ask for it.
func named(o lab.Object) {
	name, _ := Dig(o, "metadata", "name").(string)
	ports, _ := Dig(o, "spec", "ports").([]any)
	for _, p := range ports {
		p.(lab.Object)["targetPort"] = "http"
	}
	containers, _ := Dig(o, "spec", "template", "spec", "containers").([]any)
	for _, c := range containers {
		if number, ok := targets[name]; ok {
			c.(lab.Object)["ports"] = []any{lab.Object{"name": "http", "containerPort": number}}
		}
	}
}

// slice says where the pods of a version are reached through a Service. Nothing
// redirects packets here, so it is the port at which their proxy listens.
func (s *Shop) slice(service, version string) lab.Object {
	o := Object("discovery.k8s.io/v1", "EndpointSlice", ShopNamespace, service+"-of-"+version)
	o["metadata"].(lab.Object)["labels"] = lab.Object{"kubernetes.io/service-name": service}
	o["addressType"] = "IPv4"
	o["ports"] = []any{lab.Object{"name": "http", "port": s.inbound[version], "protocol": "TCP"}}
	o["endpoints"] = []any{lab.Object{"addresses": []any{s.address}, "conditions": lab.Object{"ready": true}}}
	return o
}

// Binding binds the namespace to Envoy, and says where proxies listen here.
func (s *Shop) Binding() lab.Object {
	options := lab.Object{}
	var places []string
	for _, account := range slices.Sorted(maps.Keys(s.Places)) {
		places = append(places, ShopNamespace+"/"+account+"="+lab.Local(s.Places[account]))
	}
	options[fmt.Sprintf("listen.%s/%s:%d", ShopNamespace, reviews, servicePort)] = strings.Join(places, ",")
	for version, number := range targets {
		options[fmt.Sprintf("inbound.%s/%s:%d", ShopNamespace, reviews, number)] = fmt.Sprintf("%s:%d,%s", s.address, s.inbound[version], lab.Local(s.Echoes[version].Port))
	}
	o := Object("meshknot.io/v1alpha1", "MeshBinding", "", ShopBinding)
	o["spec"] = lab.Object{"namespaceSelector": lab.Object{"matchLabels": lab.Object{"kubernetes.io/metadata.name": ShopNamespace}},
		"backend": lab.Object{"name": "envoy", "options": options}}
	return o
}

// Split is the TrafficSplit of reviews with other weights.
func Split(v1, v2 int) lab.Object {
	o := Object("split.smi-spec.io/v1alpha4", "TrafficSplit", ShopNamespace, reviews)
	o["spec"] = lab.Object{"service": reviews, "backends": []any{
		lab.Object{"service": Versions[0], "weight": v1}, lab.Object{"service": Versions[1], "weight": v2}}}
	return o
}

// SplitReport is what is said of the split.
func (c *Cluster) SplitReport() Report {
	return c.Report("split.smi-spec.io", "TrafficSplit", ShopNamespace, reviews, ShopBinding)
}
