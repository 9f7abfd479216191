package gatewayapi_test

import (
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/translators/gatewayapi"
	"github.com/meshknot/meshknot/translators/input"
)

// listeners are conditions of a Gateway's listeners, "name condition=status/reason".
func listeners(t *testing.T, text string) string {
	t.Helper()
	w := lowerAll(t, input.Settings{}, text)
	var status struct {
		Listeners []struct {
			Name       string
			Conditions []struct{ Type, Status, Reason string }
		}
	}
	for _, o := range w.store.Objects() {
		if s, ok := gatewayapi.Status(w.store.Reader(), o); ok && o.Kind == "Gateway" {
			out, err := yaml.Marshal(s)
			if err != nil || yaml.Unmarshal(out, &status) != nil {
				t.Fatal(err)
			}
		}
	}
	var b strings.Builder
	for _, l := range status.Listeners {
		for _, c := range l.Conditions {
			fmt.Fprintf(&b, "%s %s=%s/%s\n", l.Name, c.Type, c.Status, c.Reason)
		}
	}
	return b.String()
}

// A listener that names kinds it cannot take beside one that it can is told so,
// and listens all the same; one that can take none does not.
func TestListenersWithForeignKinds(t *testing.T) {
	got := listeners(t, `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: edge
  listeners:
  - {name: some, port: 80, protocol: HTTP, hostname: a.example, allowedRoutes: {kinds: [{kind: HTTPRoute}, {kind: TCPRoute}]}}
  - {name: none, port: 80, protocol: HTTP, hostname: b.example, allowedRoutes: {kinds: [{kind: TCPRoute}]}}`)
	for _, want := range []string{"some ResolvedRefs=False/InvalidRouteKinds", "some Programmed=True/Programmed", "none ResolvedRefs=False/InvalidRouteKinds", "none Programmed=False/Invalid"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
}

// HTTPS and TLS listeners share a port, for the handshake tells them apart; HTTP
// shares none with either.
func TestProtocolsOnOnePort(t *testing.T) {
	on := func(one, two string) string {
		return listeners(t, fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: edge
  listeners:
  - {name: one, port: 443, protocol: %s, hostname: a.example%s}
  - {name: two, port: 443, protocol: %s, hostname: b.example%s}`, one, tls(one), two, tls(two)))
	}
	for _, k := range []struct {
		one, two string
		conflict bool
	}{{"HTTPS", "TLS", false}, {"HTTPS", "HTTPS", false}, {"HTTP", "HTTP", false}, {"HTTP", "HTTPS", true}, {"HTTP", "TLS", true}} {
		if got := on(k.one, k.two); strings.Contains(got, "Conflicted=True/ProtocolConflict") != k.conflict {
			t.Errorf("%s and %s:\n%s", k.one, k.two, got)
		}
	}
}

func tls(protocol string) string {
	switch protocol {
	case "HTTPS":
		return ", tls: {certificateRefs: [{name: cert}]}"
	case "TLS":
		return ", tls: {mode: Passthrough}"
	}
	return ""
}
