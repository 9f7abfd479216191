package scale

var versions = map[string]string{
	"Service":        "v1",
	"EndpointSlice":  "discovery.k8s.io/v1",
	"Deployment":     "apps/v1",
	"HTTPRoute":      "gateway.networking.k8s.io/v1",
	"TrafficSplit":   "split.smi-spec.io/v1alpha4",
	"HTTPRouteGroup": "specs.smi-spec.io/v1alpha4",
	"TrafficTarget":  "access.smi-spec.io/v1alpha3",
}

const (
	slice = `addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [%s]
`
	deployment = `spec:
  selector: {matchLabels: {app: s%[1]d%[2]s}}
  template:
    metadata: {labels: {app: s%[1]d%[2]s}}
    spec: {serviceAccountName: s%[1]d, containers: [{name: app, image: app}]}
`
	split = `spec:
  service: s%[1]d
  backends: [{service: s%[1]d-v1, weight: %[2]d}, {service: s%[1]d-v2, weight: %[3]d}]
`
	route = `spec:
  parentRefs: [{group: "", kind: Service, name: s%[1]d, port: 80}]
  rules:
  - matches: [{path: {value: %[2]s}, headers: [{name: x-canary, value: "yes"}]}, {path: {value: %[3]s}}]
    backendRefs: [{name: s%[1]d, port: 80, weight: 4}, {name: s%[1]d-next, port: 80}]
  - backendRefs: [{name: s%[1]d, port: 80}]
`
	plain = `spec: {matches: [{name: api, pathRegex: /api, methods: [GET]}]}
`
	expressions = `spec: {matches: [{name: api, pathRegex: "/api/v[0-9]+/.*", methods: [GET, POST]}, {name: own, headers: [{x-own: "1"}]}]}
`
	target = `spec:
  destination: {kind: ServiceAccount, name: s%[1]d, namespace: n%[2]d}
  rules: [{kind: HTTPRouteGroup, name: s%[1]d, matches: [%[3]s]}]
  sources: [%[4]s]
`
)
