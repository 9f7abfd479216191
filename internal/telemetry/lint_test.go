package telemetry

import (
	"regexp"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/meshknot/meshknot/translators/report"
)

// TestNames: Prometheus' own linter has nothing against names, units and helps, of all
// metrics there are.
func TestNames(t *testing.T) {
	r := prometheus.NewRegistry()
	m, err := NewMetrics(r)
	if err != nil {
		t.Fatal(err)
	}
	everything(m)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	gathered := map[string]bool{}
	for _, f := range families {
		if gathered[f.GetName()] = true; f.GetHelp() == "" { // which the linter takes for a help
			t.Errorf("%s has no help", f.GetName())
		}
	}
	descs := make(chan *prometheus.Desc, 1000)
	r.Describe(descs)
	close(descs)
	for d := range descs {
		if name := regexp.MustCompile(`fqName: "([^"]+)"`).FindStringSubmatch(d.String())[1]; !gathered[name] {
			t.Errorf("%s has no value here, so that it is not looked at", name)
		}
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

var aLoss = Loss{"istio", "narrowed", "MK3001"}

// everything gives each metric a value.
func everything(m *Metrics) {
	m.Step("apply", time.Second)
	m.Changed("istio", true)
	m.Lost(nil, []Loss{aLoss})
	m.Objects("TrafficSplit", 1)
	m.Trouble("pods.", true)
	m.Wrote("cluster", "written")
	m.Reported("report", nil)
	m.Proxies("envoy", 2)
	m.Refused("other", 1)
	m.Answered("TrafficSplit", "CREATE", "denied", time.Millisecond)
	m.Rules(1, 1, 0)
	m.Began("artifact", time.Second)
	m.Audited(map[report.Severity]int{report.Error: 1})
}
