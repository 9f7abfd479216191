package ask

import (
	"syscall"
	"testing"
	"time"

	"github.com/meshknot/meshknot/test/scale"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/semantics"
)

// mesh has n Services, each split in two, each with a grant of its own.
func mesh(n int) scale.Mesh { return scale.Mesh{Services: n, Splits: true} }

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
	text := string(mesh(services).YAML())
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
	set, _ := reading(b, input.Settings{}, string(mesh(services).YAML()))
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
	_, before := reading(b, input.Settings{}, string(mesh(services).YAML()))
	large := mesh(services)
	edited := scale.Replace(large.Documents(), large.Edited("TrafficSplit", 0, 1), large.Edited("TrafficTarget", 0, 1))
	_, after := reading(b, input.Settings{}, string(scale.Join(edited)))
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
