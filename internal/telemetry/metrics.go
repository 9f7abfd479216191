package telemetry

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshknot/meshknot/translators/report"
)

// Metrics are the numbers of a running controller. The values of every label come
// from lists of ours: names of back ends, codes, classes, kinds that we watch.
type Metrics struct {
	steps        *prometheus.HistogramVec
	translations *prometheus.CounterVec
	losses       *prometheus.GaugeVec
	objects      *prometheus.GaugeVec
	trouble      *prometheus.GaugeVec
	writes       *prometheus.CounterVec
	reports      *prometheus.CounterVec
	toWrite      *prometheus.HistogramVec
	toAck        prometheus.Histogram
	leader       prometheus.Gauge
	ready        prometheus.Gauge
	clients      *prometheus.GaugeVec
	pushes       prometheus.Counter
	acks         prometheus.Counter
	nacks        *prometheus.CounterVec
	answers      *prometheus.CounterVec
	answering    prometheus.Histogram
	settled      atomic.Pointer[func() bool]
	rules        prometheus.Gauge
	sources      *prometheus.GaugeVec
	audited      *prometheus.GaugeVec
}

// Loss is what the gauge of losses tells apart.
type Loss struct{ Backend, Class, Code string }

var latency = prometheus.ExponentialBuckets(0.001, 2, 14) // 1 ms to 8 s

// NewMetrics makes the metrics and registers them.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		steps: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "meshknot_translation_duration_seconds",
			Help: "How long a step of the engine took: a batch of edits (apply), or new bindings (bind).", Buckets: latency}, []string{"step"}),
		translations: counter("meshknot_translations_total", "Changes of what a back end is to have.", "backend", "result"),
		losses:       gauge("meshknot_losses", "Findings in force of what a back end does not keep exactly.", "backend", "class", "code"),
		objects:      gauge("meshknot_objects", "Objects known, by kind.", "kind"),
		trouble:      gauge("meshknot_feed_trouble", "1 while a kind cannot be watched; what was known of it stays in force.", "kind"),
		writes:       counter("meshknot_sink_writes_total", "Artifacts handed to a sink, and what came of it.", "sink", "result"),
		reports:      counter("meshknot_report_writes_total", "Writes of reports, statuses and events.", "kind", "result"),
		toWrite: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "meshknot_event_to_write_seconds",
			Help:    "From the first event of a batch until a write that it made necessary began: of an artifact, of the report on an object; served: until proxies could have it.",
			Buckets: latency}, []string{"write"}),
		toAck: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "meshknot_event_to_ack_seconds",
			Help: "From the first event of a batch until the proxies concerned had acknowledged it.", Buckets: latency}),
		leader:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "meshknot_leader", Help: "1 while this replica writes."}),
		ready:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "meshknot_ready", Help: "1 since everything was read and compiled once."}),
		clients: gauge("meshknot_xds_clients", "Proxies connected.", "backend"),
		pushes:  prometheus.NewCounter(prometheus.CounterOpts{Name: "meshknot_xds_pushes_total", Help: "Responses sent to proxies."}),
		acks:    prometheus.NewCounter(prometheus.CounterOpts{Name: "meshknot_xds_ack_total", Help: "Responses that proxies accepted."}),
		nacks:   counter("meshknot_xds_nack_total", "Responses that proxies refused.", "type"),
		answers: counter("meshknot_admission_requests_total", "Requests that were judged.", "kind", "operation", "decision"),
		answering: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "meshknot_admission_duration_seconds",
			Help: "How long a request was judged.", Buckets: latency}),
		rules:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "meshknot_rules", Help: "Rules in Rego in force."}),
		sources: gauge("meshknot_rule_sources", "Sources of rules by state: good, or broken, of which the last good rules stay in force.", "state"),
		audited: gauge("meshknot_audit_findings", "What rules have against the objects that there are, as of the last audit; of the leader.", "severity"),
	}
	settled := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "meshknot_settled",
		Help: "1 while this replica writes and has nothing left to write or to say, as far as it knows."}, m.isSettled)
	var err error
	for _, c := range []prometheus.Collector{settled, m.steps, m.translations, m.losses, m.objects, m.trouble, m.writes, m.reports,
		m.toWrite, m.toAck, m.leader, m.ready, m.clients, m.pushes, m.acks, m.nacks, m.answers, m.answering,
		m.rules, m.sources, m.audited} {
		err = errors.Join(err, r.Register(c))
	}
	return m, err
}

// Step notes how long the engine took for a step, "apply" or "bind".
func (m *Metrics) Step(step string, took time.Duration) {
	m.steps.WithLabelValues(step).Observe(took.Seconds())
}

// Changed notes that a back end is to have something else, or that its output is withheld.
func (m *Metrics) Changed(backend string, withheld bool) {
	result := "changed"
	if withheld {
		result = "withheld"
	}
	m.translations.WithLabelValues(backend, result).Inc()
}

// Lost takes the losses of an object that were counted before out of the gauge, and
// counts those that it has now.
func (m *Metrics) Lost(before, now []Loss) {
	for _, l := range before {
		m.losses.WithLabelValues(l.Backend, l.Class, l.Code).Dec()
	}
	for _, l := range now {
		m.losses.WithLabelValues(l.Backend, l.Class, l.Code).Inc()
	}
}

// Objects adds to the number of objects of a kind.
func (m *Metrics) Objects(kind string, n int) { m.objects.WithLabelValues(kind).Add(float64(n)) }

// Trouble notes whether a kind can be watched.
func (m *Metrics) Trouble(kind string, trouble bool) {
	m.trouble.WithLabelValues(kind).Set(number(trouble))
}

// Wrote notes what came of an artifact that a sink was handed: "written",
// "unchanged", "deleted", "refused", "foreign", "missing" or "error".
func (m *Metrics) Wrote(sink, result string) { m.writes.WithLabelValues(sink, result).Inc() }

// Reported notes a write of a report, a status or an event.
func (m *Metrics) Reported(kind string, err error) {
	result := "written"
	if err != nil {
		result = "error"
	}
	m.reports.WithLabelValues(kind, result).Inc()
}

// The writes whose delays are told apart.
const (
	WriteArtifact = "artifact"
	WriteReport   = "report"
	WriteServed   = "served"
)

// Began notes how long it took from an event until a write of it began.
func (m *Metrics) Began(write string, took time.Duration) {
	m.toWrite.WithLabelValues(write).Observe(took.Seconds())
}

// Settled has a function asked whether there is nothing left to write or to say.
func (m *Metrics) Settled(ask func() bool) { m.settled.Store(&ask) }

func (m *Metrics) isSettled() float64 {
	ask := m.settled.Load()
	return number(ask != nil && (*ask)())
}

// Acknowledged notes how long it took from an event until proxies had confirmed it.
func (m *Metrics) Acknowledged(took time.Duration) { m.toAck.Observe(took.Seconds()) }

// Leader notes whether this replica writes.
func (m *Metrics) Leader(leader bool) { m.leader.Set(number(leader)) }

// Ready notes that everything was read and compiled once.
func (m *Metrics) Ready(ready bool) { m.ready.Set(number(ready)) }

// Proxies notes how many proxies of a back end are connected.
func (m *Metrics) Proxies(backend string, n int) { m.clients.WithLabelValues(backend).Set(float64(n)) }

// Exchanged adds to the numbers of responses sent and accepted.
func (m *Metrics) Exchanged(pushes, acks uint64) {
	m.pushes.Add(float64(pushes))
	m.acks.Add(float64(acks))
}

// Refused adds to the number of responses of a type that were refused; the type is
// one that the server serves, or "other".
func (m *Metrics) Refused(typeURL string, n uint64) { m.nacks.WithLabelValues(typeURL).Add(float64(n)) }

// Answered notes what a request was answered; it implements webhook.Observer, which
// bounds the values.
func (m *Metrics) Answered(kind, operation, verdict string, took time.Duration) {
	m.answers.WithLabelValues(kind, operation, verdict).Inc()
	m.answering.Observe(took.Seconds())
}

// Rules notes how many rules are in force, and how many of their sources are in order
// and how many are not.
func (m *Metrics) Rules(inForce, good, broken int) {
	m.rules.Set(float64(inForce))
	m.sources.WithLabelValues("good").Set(float64(good))
	m.sources.WithLabelValues("broken").Set(float64(broken))
}

// Audited notes how many findings of each severity the last audit had; of a replica
// that no longer leads, none.
func (m *Metrics) Audited(found map[report.Severity]int) {
	for _, s := range []report.Severity{report.Error, report.Warning, report.Info} {
		m.audited.WithLabelValues(string(s)).Set(float64(found[s]))
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
