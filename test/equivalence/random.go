package equivalence

import (
	"bytes"
	"fmt"
	"math/rand/v2"

	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/translators/input"
)

// The cast of random policies is small, so that planes keep their proxies. Names
// of accounts come again in other namespaces: meshes tend to mix them up.
var (
	serverNames = []member{{"shop", "api"}, {"shop", "api-v2"}, {"shop", "db"}, {"bank", "api"}, {"bank", "ledger"}, {"edge", "db"}}
	callerNames = []member{{"shop", "web"}, {"bank", "web"}, {"edge", "batch"}, {"shop", "db"}}
)

// member is an account and the Service before its pods.
type member struct{ namespace, name string }

// object is a manifest.
type object = map[string]any

// generator makes one manifest.
type generator struct {
	*rand.Rand
	out []object
	// ports are those of each server's Service, by its place in serverNames.
	ports map[member][]object
	// groups are the matches of the HTTPRouteGroups, by namespace and name.
	groups map[member][]string
	// tcp are the TCPRoutes.
	tcp []member
}

// Random makes the n-th policy of a seed. The same seed makes the same policies.
func Random(seed, n uint64) Scene {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, n)), ports: map[member][]object{}, groups: map[member][]string{}}
	g.cast()
	g.specs()
	for range g.IntN(4) {
		g.split()
	}
	for range g.IntN(6) {
		g.target()
	}
	if g.chance(3) {
		for range 1 + g.IntN(2) {
			g.httpRoute()
		}
	}
	s := Scene{Name: fmt.Sprintf("random/%d/%d", seed, n), Files: []input.File{{Name: "policy.yaml", Data: Manifest(g.out)}}}
	if g.chance(4) {
		s.Settings.Access = "strict"
	}
	return s
}

// Manifest renders objects as one YAML file.
func Manifest(objects []object) []byte {
	var parts [][]byte
	for _, o := range objects {
		text, err := yaml.Marshal(o)
		if err != nil {
			panic(err) // objects are maps of plain values
		}
		parts = append(parts, text)
	}
	return bytes.Join(parts, []byte("---\n"))
}

// chance is one in n.
func (g *generator) chance(n int) bool { return g.IntN(n) == 0 }

// some picks between least and most of a list, in no order.
func some[T any](g *generator, all []T, least, most int) []T {
	var out []T
	for _, i := range g.Perm(len(all))[:min(len(all), least+g.IntN(most-least+1))] {
		out = append(out, all[i])
	}
	return out
}

func one[T any](g *generator, all []T) T { return all[g.IntN(len(all))] }

func (g *generator) add(version, kind string, m member, spec object) {
	o := object{"apiVersion": version, "kind": kind, "metadata": object{"namespace": m.namespace, "name": m.name}}
	if spec != nil {
		o["spec"] = spec
	}
	g.out = append(g.out, o)
}

// unique is the name of a new object, sometimes one that another kind has too.
func (g *generator) unique(namespace string) member {
	return member{namespace, fmt.Sprintf("%s-%d", one(g, []string{"some", "more", "api"}), len(g.out))}
}

// cast makes accounts, Services and pods.
func (g *generator) cast() {
	for _, c := range callerNames {
		g.add("v1", "ServiceAccount", c, nil)
	}
	for i, s := range serverNames {
		if i > 1 && g.chance(3) {
			continue
		}
		g.server(s, len(g.ports))
	}
	if g.chance(2) { // before all pods that are called api, of whichever account
		root := member{"shop", "front"}
		g.ports[root] = []object{{"name": "http", "port": 80, "targetPort": 8080}}
		g.service(root, object{"family": "api"})
	}
}

func (g *generator) server(s member, n int) {
	shared := g.IntN(5) == 0
	ports := []object{{"name": "http", "port": 80, "targetPort": 8080}}
	containers := []object{{"name": "http", "containerPort": 8080}}
	if g.chance(3) {
		ports = append(ports, object{"name": "http-admin", "port": 81, "targetPort": "admin"})
		containers = append(containers, object{"name": "admin", "containerPort": 8081})
	}
	if g.chance(3) {
		ports = append(ports, object{"name": "tcp-db", "port": 5432, "targetPort": 5432})
	}
	if g.chance(4) {
		ports = append(ports, object{"name": "grpc", "port": 9000, "targetPort": 9000})
	}
	if shared {
		ports = append(ports, object{"name": "http-too", "port": 82, "targetPort": 8080})
	}
	if g.chance(8) {
		ports = ports[1:]
	}
	if len(ports) == 0 {
		ports = []object{{"name": "tcp", "port": 5432}}
	}
	g.ports[s] = ports
	labels := object{"app": s.name, "family": one(g, []string{"api", s.name})}
	g.add("v1", "ServiceAccount", s, nil)
	g.service(s, object{"app": s.name})
	g.out[len(g.out)-1]["spec"].(object)["clusterIP"] = fmt.Sprintf("10.96.1.%d", 1+n)
	container := object{"name": "app", "image": "echo", "ports": containers}
	if g.chance(4) {
		container["readinessProbe"] = object{"httpGet": object{"path": "/healthz", "port": 8080}}
	}
	g.add("apps/v1", "Deployment", s, object{"selector": object{"matchLabels": object{"app": s.name}},
		"template": object{"metadata": object{"labels": labels}, "spec": object{"serviceAccountName": s.name, "containers": []object{container}}}})
}

func (g *generator) service(s member, selector object) {
	g.add("v1", "Service", s, object{"selector": selector, "ports": g.ports[s]})
}

// servers are the Services of a namespace.
func (g *generator) servers(namespace string) []member {
	var out []member
	for _, s := range append(serverNames, member{"shop", "front"}) {
		if s.namespace == namespace && g.ports[s] != nil {
			out = append(out, s)
		}
	}
	return out
}
