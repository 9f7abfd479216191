package admission

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/meshknot/meshknot/internal/cli"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/webhook"
)

// BenchmarkAdmission puts requests to a real API server at 500 a second, with
// nothing in the way, with ValidatingAdmissionPolicies, and with the webhook, which
// knows 10,000 objects. It reports how long they take, the median and 1 in 100, and
// how many were not begun in time for the machine could not.
func BenchmarkAdmission(b *testing.B) {
	w := newWorld(b, bound("mesh", "istio", report.Dropped, "shop"))
	p := start(b, w, webhook.Options{}, webhook.Registration{Foreign: "Fail"})
	w.know(b, objects(b, known)...)
	var many []lab.Object
	for i := range 2000 {
		name := fmt.Sprint("app-", i)
		many = append(many, objects(b, with(known, "reviews", name, "name: routes", "name: "+name, "namespace: shop", fmt.Sprint("namespace: ns-", i%40)))[3:]...)
	}
	w.know(b, many[:10_000]...)
	configuration := object(b, "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: meshknot}}")
	b.Run("webhook", func(b *testing.B) { p.measure(b) })
	if err := p.kube.Delete(configuration); err != nil {
		b.Fatal(err)
	}
	p.stop()
	p.settled(b, "server without webhook", false)
	b.Run("nothing", func(b *testing.B) { p.measure(b) })
	var out, talk bytes.Buffer
	if code := cli.Main([]string{"policy", "export", "--as", "validatingadmissionpolicy"}, nil, &out, &talk); code != 0 {
		b.Fatal(talk.String())
	}
	for _, o := range documents(out.Bytes()) {
		if err := p.kube.Apply(o); err != nil {
			b.Fatal(err)
		}
	}
	p.settled(b, "policies", true)
	b.Run("policies", func(b *testing.B) { p.measure(b) })
}

// settled waits until the server denies what is wrong, or denies nothing.
func (p *place) settled(b *testing.B, what string, denies bool) {
	b.Helper()
	bad := object(b, with(split, "weight: 90", "weight: 0", "weight: 10", "weight: 0"))
	if err := p.lab.Eventually(what, 60*time.Second, func() bool {
		_, err := p.kube.DryRun(bad)
		return (err != nil) == denies
	}); err != nil {
		b.Fatal(err)
	}
}

// measure puts b.N requests, one every 2 ms.
func (p *place) measure(b *testing.B) {
	const every = 2 * time.Millisecond
	o := object(b, split)
	if _, err := p.kube.DryRun(o); err != nil {
		b.Fatal(err)
	}
	var mu sync.Mutex
	var took []time.Duration
	late, failed := 0, 0
	b.ResetTimer()
	var all sync.WaitGroup
	begin := time.Now()
	for i := range b.N {
		due := begin.Add(time.Duration(i) * every)
		if wait := time.Until(due); wait > 0 {
			<-time.After(wait)
		} else if wait < -every {
			late++
		}
		all.Go(func() {
			from := time.Now()
			_, err := p.kube.DryRun(o)
			d := time.Since(from)
			mu.Lock()
			defer mu.Unlock()
			if took = append(took, d); err != nil {
				failed++
			}
		})
	}
	all.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(late), "late")
	b.ReportMetric(float64(failed), "failed")
	b.ReportMetric(0, "ns/op")
}
