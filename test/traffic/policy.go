// Package traffic keeps real Envoys under constant load while the policies that
// they serve are edited, reordered, renamed, split and moved between backends:
// no request may fail, and none may be answered by whom no policy in force means.
package traffic

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/meshknot/meshknot/translators/input"
)

const namespace = "shop"

// policy is what a mesh is told: an HTTPRoute at one Service, a TrafficSplit at
// another, and the Services behind them. Every path leads to somebody.
type policy struct {
	// route names the HTTPRoute, split the TrafficSplit.
	route, split string
	rules        []rule
	// weights of the TrafficSplit, by backend.
	weights map[string]int
	// twins are the Services whose endpoint is the second of their two processes.
	twins map[string]bool
	// services are those that exist behind the roots.
	services []string
}

// rule sends requests with one of the prefixes, or with the header, to backends.
type rule struct {
	name     string
	prefixes []string
	header   string // value of the header "x-user"; empty for none
	weights  map[string]int
}

func (p policy) clone() policy {
	out := p
	out.rules = nil
	for _, r := range p.rules {
		r.prefixes, r.weights = slices.Clone(r.prefixes), copied(r.weights)
		out.rules = append(out.rules, r)
	}
	out.weights, out.twins, out.services = copied(p.weights), copied(p.twins), slices.Clone(p.services)
	return out
}

func copied[K comparable, V any](m map[K]V) map[K]V {
	out := make(map[K]V, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

type object = map[string]any

// files are the policy as manifests, a file for each object. ports are where the
// two processes of each Service listen.
func (p policy) files(ports map[string][2]int32) []input.File {
	all := []object{service("reviews"), service("orders"), p.httpRoute(), p.trafficSplit()}
	for _, s := range p.services {
		port := ports[s][0]
		if p.twins[s] {
			port = ports[s][1]
		}
		all = append(all, service(s), endpointSlice(s, port))
	}
	var out []input.File
	for i, o := range all {
		text, err := json.Marshal(o)
		if err != nil {
			panic(err) // it is made of strings and numbers
		}
		out = append(out, input.File{Name: fmt.Sprintf("%d.json", i), Data: text})
	}
	return out
}

func metadata(name string) object { return object{"name": name, "namespace": namespace} }

func service(name string) object {
	return object{"apiVersion": "v1", "kind": "Service", "metadata": metadata(name), "spec": object{
		"selector": object{"app": name}, "ports": []object{{"name": "http", "port": 80}}}}
}

func endpointSlice(service string, port int32) object {
	m := metadata(service + "-1")
	m["labels"] = object{"kubernetes.io/service-name": service}
	return object{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": m, "addressType": "IPv4",
		"ports":     []object{{"name": "http", "port": port, "protocol": "TCP"}},
		"endpoints": []object{{"addresses": []string{"127.0.0.1"}, "conditions": object{"ready": true}}}}
}

func (p policy) httpRoute() object {
	var rules []object
	for _, r := range p.rules {
		var matches, backends []object
		for _, prefix := range r.prefixes {
			m := object{"path": object{"type": "PathPrefix", "value": prefix}}
			if r.header != "" {
				m["headers"] = []object{{"name": "x-user", "value": r.header}}
			}
			matches = append(matches, m)
		}
		for _, s := range p.services {
			if w, ok := r.weights[s]; ok {
				backends = append(backends, object{"name": s, "port": 80, "weight": w})
			}
		}
		rules = append(rules, object{"name": r.name, "matches": matches, "backendRefs": backends})
	}
	return object{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": metadata(p.route),
		"spec": object{"parentRefs": []object{{"group": "", "kind": "Service", "name": "reviews", "port": 80}}, "rules": rules}}
}

func (p policy) trafficSplit() object {
	var backends []object
	for _, s := range p.services {
		if w, ok := p.weights[s]; ok {
			backends = append(backends, object{"service": s, "weight": w})
		}
	}
	return object{"apiVersion": "split.smi-spec.io/v1alpha4", "kind": "TrafficSplit", "metadata": metadata(p.split),
		"spec": object{"service": "orders", "backends": backends}}
}
