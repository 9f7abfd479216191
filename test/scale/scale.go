// Package scale makes meshes of a given size for benchmarks. What it makes is the
// same every time, and one object of it can be edited.
package scale

import (
	"fmt"
	"slices"
	"strings"
)

// Mesh is how large a mesh is, and what each of its Services has. The i-th, from 0,
// is named s and its number, in the namespace n and the number modulo 50; its pods
// run as the account of its name. The account web of the namespace front may call it.
type Mesh struct {
	// Services that are called. What shares their calls comes beside them.
	Services int
	// Splits: a TrafficSplit shares each Service out to two others, "-v1" and "-v2".
	Splits bool
	// Routes is how many HTTPRoutes each Service has. They send some calls to another,
	// "-next". A Service is split or has routes: with both, those with odd numbers have
	// routes.
	Routes int
	// Expressions: who may call does so by an expression of paths, or with a header;
	// else by the path /api alone.
	Expressions bool
	// Neighbours is how many of the Services that follow in number may call, too: 0 to 49.
	Neighbours int
	// Addressed Services have a cluster address, up to 60,000 of them, and pods that
	// listen on another port.
	Addressed bool
	// Endpoints is how many addresses the EndpointSlice of a Service has: 1 to 16, or 0
	// where there is none.
	Endpoints int
}

// Document is an object as a YAML document.
type Document struct{ Kind, Namespace, Name, Text string }

// Join writes documents into one file.
func Join(documents []Document) []byte {
	var b strings.Builder
	for _, d := range documents {
		b.WriteString("---\n" + d.Text)
	}
	return []byte(b.String())
}

// Replace puts documents in the place of those of the same kind and name.
func Replace(documents []Document, edits ...Document) []Document {
	out := slices.Clone(documents)
	for _, e := range edits {
		for i, d := range out {
			if d.Kind == e.Kind && d.Namespace == e.Namespace && d.Name == e.Name {
				out[i] = e
			}
		}
	}
	return out
}

// namespaces is how many a mesh has.
const namespaces = 50

// Documents are all objects of the mesh, Service by Service.
func (m Mesh) Documents() []Document {
	var out []Document
	for i := range m.Services {
		out = append(out, m.Of(i, 0)...)
	}
	return out
}

// YAML is the mesh as one file.
func (m Mesh) YAML() []byte { return Join(m.Documents()) }

// Of are the objects of the i-th Service as they are after so many edits. Each edit
// moves a weight of the TrafficSplit, has the TrafficTarget name another account in
// the place of web, and the HTTPRoutes another path, and replaces an address of the
// EndpointSlices; other objects stay. Edits come back to the first after 16.
func (m Mesh) Of(i, edits int) []Document {
	s := service{m, i, edits % 16, nil}
	s.service("", "")
	if m.Splits && (m.Routes == 0 || i%2 == 0) {
		s.service("-v1", `, v: "1"`)
		s.service("-v2", `, v: "2"`)
		s.deployment("-v1", `, v: "1"`)
		s.add("TrafficSplit", "", fmt.Sprintf(split, i, 80-s.edits, 20+s.edits))
	} else {
		s.deployment("", "")
		for k := range m.Routes {
			s.route(k)
		}
		if m.Routes > 0 {
			s.service("-next", "")
		}
	}
	s.grant()
	return s.documents
}

// Edited is the object of a kind that the i-th Service has under its own name, after
// so many edits. It panics where there is none.
func (m Mesh) Edited(kind string, i, edits int) Document {
	all := m.Of(i, edits)
	return all[slices.IndexFunc(all, func(d Document) bool { return d.Kind == kind && d.Name == fmt.Sprint("s", i) })]
}

// service collects the objects of one Service.
type service struct {
	Mesh
	number, edits int
	documents     []Document
}

func (s *service) add(kind, suffix, spec string) {
	name, namespace := fmt.Sprint("s", s.number, suffix), fmt.Sprint("n", s.number%namespaces)
	labels := ""
	if kind == "EndpointSlice" {
		labels = ", labels: {kubernetes.io/service-name: " + name + "}"
	}
	text := fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: %s, namespace: %s%s}\n%s", versions[kind], kind, name, namespace, labels, spec)
	s.documents = append(s.documents, Document{kind, namespace, name, text})
}

// address is in a block that only Services, or only pods, have.
func (s *service) address(block int) string {
	return fmt.Sprintf("10.%d.%d.%d", block, s.number/250, s.number%250+1)
}

func (s *service) service(suffix, labels string) {
	which := slices.Index([]string{"", "-next", "-v1", "-v2"}, suffix)
	at, listens := "", ""
	if s.Addressed {
		at, listens = fmt.Sprintf("clusterIP: %s, ", s.address(which)), ", targetPort: 8080"
	}
	s.add("Service", suffix, fmt.Sprintf("spec: {%sselector: {app: s%d%s}, ports: [{name: http, port: 80%s}]}\n", at, s.number, labels, listens))
	if s.Endpoints == 0 {
		return
	}
	var pods []string
	for k := range s.Endpoints {
		if k == 0 && s.edits > 0 {
			k = s.Endpoints - 1 + s.edits // none that there is or was
		}
		pods = append(pods, fmt.Sprintf("{addresses: [%s], conditions: {ready: true}}", s.address(64+32*which+k)))
	}
	s.add("EndpointSlice", suffix, fmt.Sprintf(slice, strings.Join(pods, ", ")))
}

func (s *service) deployment(suffix, labels string) {
	s.add("Deployment", suffix, fmt.Sprintf(deployment, s.number, labels))
}

func (s *service) route(k int) {
	suffix, api, next := "", "/api", "/next"
	if k > 0 {
		suffix, api, next = fmt.Sprint("-", k), fmt.Sprint("/api-", k), fmt.Sprint("/next-", k)
	}
	if s.edits > 0 {
		next += fmt.Sprint("-again-", s.edits)
	}
	s.add("HTTPRoute", suffix, fmt.Sprintf(route, s.number, api, next))
}

func (s *service) grant() {
	matches, names := plain, "api"
	if s.Expressions {
		matches, names = expressions, "api, own"
	}
	s.add("HTTPRouteGroup", "", matches)
	web := "web"
	if s.edits > 0 {
		web += fmt.Sprint("-", s.edits)
	}
	sources := fmt.Sprintf("{kind: ServiceAccount, name: %s, namespace: front}", web)
	for k := range s.Neighbours {
		near := s.number/namespaces*namespaces + (s.number+k+1)%namespaces
		sources += fmt.Sprintf(", {kind: ServiceAccount, name: s%d, namespace: n%d}", near, s.number%namespaces)
	}
	s.add("TrafficTarget", "", fmt.Sprintf(target, s.number, s.number%namespaces, names, sources))
}
