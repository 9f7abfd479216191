package all

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators"
)

// edge writes a Gateway and n HTTPRoutes of two rules, each with weights and with
// Services and EndpointSlices of its own. The routes share a number of host names;
// 0 means that each has its own.
func edge(n, hosts int) []byte {
	var b strings.Builder
	b.WriteString(edgeGateway)
	for i := range n {
		host := i
		if hosts > 0 {
			host = i % hosts
		}
		fmt.Fprintf(&b, edgeRoute, i, host, i/250, i%250+1)
	}
	return []byte(b.String())
}

const edgeGateway = `---
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

var crowds = []struct {
	name  string
	hosts int
}{{"own-hosts", 0}, {"five-hosts", 5}, {"one-host", 1}}

// BenchmarkGateway lowers 1,000 HTTPRoutes on one Gateway, and makes Envoy's
// configuration of them.
func BenchmarkGateway(b *testing.B) {
	envoy, _ := Pipeline().Backend("envoy")
	for _, c := range crowds {
		text := edge(1000, c.hosts)
		b.Run("lower/"+c.name, func(b *testing.B) {
			b.ReportAllocs()
			units := 0
			for b.Loop() {
				b.StopTimer()
				s := read(b, text) // a new store: its indexes are part of the cost
				b.StartTimer()
				u, _ := Pipeline().Lower(s)
				units = len(u)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*units), "ns/unit")
		})
		units, _ := Pipeline().Lower(read(b, text))
		b.Run("envoy/"+c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for _, u := range units {
					translators.Translate(u, envoy, translators.Target{Backend: "envoy"}, nil)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(units)), "ns/unit")
		})
	}
}
