package ask

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/semantics"
)

// mesh writes n Services, each split in two, each with a grant of its own.
func mesh(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, block, i, i%50)
	}
	return b.String()
}

const block = `---
apiVersion: v1
kind: Service
metadata: {name: s%[1]d, namespace: n%[2]d}
spec: {selector: {app: s%[1]d}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: s%[1]d-v1, namespace: n%[2]d}
spec: {selector: {app: s%[1]d, v: "1"}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: s%[1]d-v2, namespace: n%[2]d}
spec: {selector: {app: s%[1]d, v: "2"}, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: s%[1]d-v1, namespace: n%[2]d}
spec:
  selector: {matchLabels: {app: s%[1]d, v: "1"}}
  template:
    metadata: {labels: {app: s%[1]d, v: "1"}}
    spec: {serviceAccountName: s%[1]d, containers: [{name: app, image: app}]}
---
apiVersion: split.smi-spec.io/v1alpha4
kind: TrafficSplit
metadata: {name: s%[1]d, namespace: n%[2]d}
spec:
  service: s%[1]d
  backends: [{service: s%[1]d-v1, weight: 80}, {service: s%[1]d-v2, weight: 20}]
---
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: s%[1]d, namespace: n%[2]d}
spec: {matches: [{name: api, pathRegex: /api, methods: [GET]}]}
---
apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {name: s%[1]d, namespace: n%[2]d}
spec:
  destination: {kind: ServiceAccount, name: s%[1]d, namespace: n%[2]d}
  rules: [{kind: HTTPRouteGroup, name: s%[1]d, matches: [api]}]
  sources: [{kind: ServiceAccount, name: web, namespace: front}]
`

const services = 1000

func targets() []translators.Target {
	var out []translators.Target
	for _, b := range program().Backends {
		t := translators.Target{Backend: b.Name(), TrustDomain: "cluster.local"}
		if b.Name() == "gateway-api" { // else it is withheld, which is cheaper
			t.Options = map[string]string{"authorization": "istio"}
		}
		out = append(out, t)
	}
	return out
}

// meter measures the processor time of what a benchmark runs: others may use
// the same processors.
type meter struct {
	b       *testing.B
	spent   time.Duration
	started time.Duration
}

func (m *meter) now() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		m.b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func (m *meter) start() { m.started = m.now() }
func (m *meter) stop()  { m.spent += m.now() - m.started }
func (m *meter) report() {
	m.b.ReportMetric(float64(m.spent.Microseconds())/1000/float64(m.b.N), "cpu-ms/op")
}

// BenchmarkRead is what every verb spends before it asks.
func BenchmarkRead(b *testing.B) {
	text := mesh(services)
	b.ReportAllocs()
	m := meter{b: b}
	defer m.report()
	for b.Loop() {
		m.start()
		reading(b, input.Settings{}, text)
		m.stop()
	}
}

// BenchmarkExplain explains one request, on all back ends, in a store whose
// indexes are not made yet: a command line asks once.
func BenchmarkExplain(b *testing.B) {
	set, _ := reading(b, input.Settings{}, mesh(services))
	q := call(b, "sa:front/web -> svc:n7/s7:80 GET /api")
	b.ReportAllocs()
	m := meter{b: b}
	defer m.report()
	for b.Loop() {
		b.StopTimer()
		store := input.NewStore(set, input.Settings{})
		b.StartTimer()
		m.start()
		answer, err := New(program(), store, targets()).Explain(q)
		m.stop()
		if err != nil || answer.Decision.Verdict != semantics.Allow {
			b.Fatal(answer.Decision.Verdict, err)
		}
	}
}

// BenchmarkDiff compares two inputs that differ in one weight and one grant,
// compiling included.
func BenchmarkDiff(b *testing.B) {
	_, before := reading(b, input.Settings{}, mesh(services))
	_, after := reading(b, input.Settings{}, strings.Replace(strings.Replace(mesh(services),
		"weight: 80", "weight: 70", 1), "name: web, namespace: front", "name: ads, namespace: front", 1))
	b.ReportAllocs()
	m := meter{b: b}
	defer m.report()
	kinds := 0
	for b.Loop() {
		m.start()
		got := Compare(Sides(program(), before, translators.Target{})[0], Sides(program(), after, translators.Target{})[0])
		m.stop()
		if kinds = got.Kinds; got.Otherwise == 0 {
			b.Fatal("nothing differs")
		}
	}
	b.ReportMetric(float64(kinds), "kinds")
}
