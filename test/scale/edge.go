package scale

import "fmt"

// Edge is a Gateway, and HTTPRoutes of two rules on it, each with weights and with
// Services and EndpointSlices of its own.
type Edge struct {
	Routes int
	// Hosts is how many host names the routes share; 0: each has its own.
	Hosts int
}

// YAML is the edge as one file.
func (e Edge) YAML() []byte {
	out := []byte(gateway)
	for i := range e.Routes {
		host := i
		if e.Hosts > 0 {
			host = i % e.Hosts
		}
		out = fmt.Appendf(out, edgeRoute, i, host, i/250, i%250+1)
	}
	return out
}

const gateway = `---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  gatewayClassName: meshknot
  listeners: [{name: http, port: 80, protocol: HTTP, hostname: "*.example.com"}]
`

const edgeRoute = `---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r%[1]d, namespace: shop}
spec:
  parentRefs: [{name: edge}]
  hostnames: ["h%[2]d.example.com"]
  rules:
  - matches: [{path: {type: PathPrefix, value: /r%[1]d/api}, method: GET}]
    backendRefs: [{name: s%[1]d-v1, port: 80, weight: 90}, {name: s%[1]d-v2, port: 80, weight: 10}]
  - matches: [{path: {type: PathPrefix, value: /r%[1]d}}]
    backendRefs: [{name: s%[1]d-v1, port: 80, weight: 3}, {name: s%[1]d-v2, port: 80, weight: 1}]
---
apiVersion: v1
kind: Service
metadata: {name: s%[1]d-v1, namespace: shop}
spec: {clusterIP: 10.1.%[3]d.%[4]d, selector: {app: s%[1]d, v: "1"}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: s%[1]d-v2, namespace: shop}
spec: {clusterIP: 10.2.%[3]d.%[4]d, selector: {app: s%[1]d, v: "2"}, ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: s%[1]d-v1, namespace: shop, labels: {kubernetes.io/service-name: s%[1]d-v1}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.3.%[3]d.%[4]d], conditions: {ready: true}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: s%[1]d-v2, namespace: shop, labels: {kubernetes.io/service-name: s%[1]d-v2}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.4.%[3]d.%[4]d], conditions: {ready: true}}]
`
