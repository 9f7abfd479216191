package world

import (
	"bytes"
	"fmt"
)

// Gateway is the input of the translators: a Gateway and HTTPRoutes, of two rules
// each, with a Service and its endpoints for every route, in the class that Envoy
// Gateway takes for its own.
type Gateway struct {
	// Routes is how many HTTPRoutes there are, Host says which hostname a route has.
	Routes int
	Host   func(route int) int
}

// Own gives every route a hostname of its own.
func Own(route int) int { return route }

// Fifty gives fifty routes a hostname.
func Fifty(route int) int { return route / 50 }

// Five gives all routes five hostnames together.
func Five(route int) int { return route % 5 }

const gatewayHead = `apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: edge}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  gatewayClassName: edge
  listeners: [{name: http, port: 80, protocol: HTTP}]
`

const gatewayRoute = `---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r%[1]d, namespace: shop}
spec:
  parentRefs: [{name: edge}]
  hostnames: ["h%[2]d.example.com"]
  rules:
  - matches: [{path: {type: PathPrefix, value: /r%[1]d/v%[3]d}, method: GET}]
    backendRefs: [{name: s%[1]d, port: 80}]
  - matches: [{path: {type: PathPrefix, value: /r%[1]d}}]
    backendRefs: [{name: s%[1]d, port: 80}]
`

const gatewayService = `---
apiVersion: v1
kind: Service
metadata: {name: s%[1]d, namespace: shop}
spec: {clusterIP: 10.%[2]d.%[3]d.%[4]d, selector: {app: s%[1]d}, ports: [{name: http, port: 80, targetPort: 8080, protocol: TCP}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: s%[1]d, namespace: shop, labels: {kubernetes.io/service-name: s%[1]d}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints: [{addresses: [11.%[2]d.%[3]d.%[4]d], conditions: {ready: true}}]
`

// Files write it as YAML, in files of a thousand routes.
func (g Gateway) Files() [][]byte {
	var out [][]byte
	for from := 0; from < max(g.Routes, 1); from += 1000 {
		var b bytes.Buffer
		if from == 0 {
			b.WriteString(gatewayHead)
		}
		for i := from; i < min(from+1000, g.Routes); i++ {
			b.Write(g.Route(i, 1))
			fmt.Fprintf(&b, gatewayService, i, 1+i/62500, i/250%250, 1+i%250)
		}
		out = append(out, b.Bytes())
	}
	return out
}

// Route writes one HTTPRoute in a version: its first rule's path differs.
func (g Gateway) Route(i, version int) []byte {
	return fmt.Appendf(nil, gatewayRoute, i, g.Host(i), version)
}
