package gatewayapi_test

import (
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/gatewayapi"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/kube"
	"github.com/meshknot/meshknot/translators/passes"
	"github.com/meshknot/meshknot/translators/smi"
)

// surroundings are what routes may be attached to and send to.
const surroundings = services + `
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: g}
spec: {gatewayClassName: c, listeners: [{name: l, port: 80, protocol: HTTP}]}
---
`

// attached is an object with parents that take it.
func attached(object string) string {
	if strings.Contains(object, "parentRefs") || !strings.Contains(object, "Route\n") {
		return object
	}
	object = strings.Replace(object, "spec: {", `spec: {parentRefs: [{group: "", kind: Service, name: s}, {name: g}], `, 1)
	return strings.Replace(object, ", }", "}", 1)
}

// Whatever is written, nothing panics; what is in error has no status and attaches to nothing.
func FuzzLower(f *testing.F) {
	for _, r := range rejections() {
		f.Add(attached(r.object))
	}
	f.Fuzz(func(t *testing.T, text string) {
		p := translators.Pipeline{Frontends: []translators.Frontend{kube.Frontend(), gatewayapi.Frontend(), smi.Frontend()}, Passes: passes.List()}
		set, _ := input.Read([]string{"-"}, input.Options{Schemas: p.Schemas(), Stdin: strings.NewReader(surroundings + text)})
		store := input.NewStore(set, input.Settings{})
		units, found := p.Lower(store)
		for _, o := range store.Objects() {
			if _, ok := gatewayapi.Status(store.Reader(), o); ok && o.Rejected {
				t.Errorf("%s has a status, and is in error", o.ID)
			}
			for _, path := range o.Leaves {
				if _, ok := gatewayapi.LeafOf(o.Group, o.Kind, path); !ok && o.Group == gatewayapi.Group && !o.Rejected {
					t.Errorf("%s: nothing accounts for %s", o.ID, path)
				}
			}
		}
		for _, u := range units {
			if u.Service == nil {
				continue
			}
			for _, p := range u.Service.Ports {
				if n := len(p.Routes); n == 0 || !p.Routes[n-1].MatchesAll() {
					t.Errorf("%s: some request is left without a route: %v", u.Key(), found)
				}
			}
		}
	})
}

// Of the objects without an error each route is accepted by the Service and the
// Gateway, or the report says why not.
func TestAccepted(t *testing.T) {
	for _, r := range rejections() {
		if r.code != "" || !strings.Contains(r.object, "HTTPRoute\n") || strings.Contains(r.object, "parentRefs") {
			continue
		}
		w := lowerAll(t, input.Settings{}, surroundings+attached(r.object))
		for _, o := range w.store.Objects() {
			if o.Kind != gatewayapi.KindHTTPRoute {
				continue
			}
			status, ok := gatewayapi.Status(w.store.Reader(), o)
			s, is := status.(gatewayapi.RouteStatus)
			if !ok || !is || len(s.Parents) != 2 {
				t.Errorf("%s\nhas the status %+v", r.object, status)
				continue
			}
			for _, p := range s.Parents {
				if p.Conditions[0].Type != "Accepted" || p.Conditions[0].Status != "True" && !strings.Contains(r.object, "ExtensionRef") {
					t.Errorf("%s\nhas the condition %+v", r.object, p.Conditions[0])
				}
			}
		}
	}
}
