package admission

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"

	"github.com/meshknot/meshknot/internal/cli"
	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/webhook"
)

// What BenchmarkAdmission puts: one request every 2 ms, of which the first are not
// counted.
const (
	every    = 2 * time.Millisecond
	warming  = 500
	requests = 2500
	apps     = 1250 // of eight objects each
	homes    = 40
	edited   = 40 // of the apps
)

// BenchmarkAdmission puts edits of many objects to a real API server, as dry runs, at 500
// a second: with nothing in the way, with ValidatingAdmissionPolicies, and with the
// webhook, which knows 10,000 objects; forth and back, so that what the machine does
// beside falls on all alike. At last they are put to the webhook itself, without an API
// server. It reports how long they take, the median and 1 in 100; beside that, of the
// webhook, the time from the first byte of a request to its verdict. Processor time is
// that of this process, which holds the webhook and who asks: without the webhook it is
// who asks alone. Late are those that were not begun in time for the machine could not.
func BenchmarkAdmission(b *testing.B) {
	c := newContest(b)
	for _, mode := range []string{"nothing", "policies", "webhook", "webhook", "policies", "nothing"} {
		c.enter(b, mode)
		b.Run(mode, func(b *testing.B) { c.load(b, c.edits) })
	}
	b.Run("webhook-alone", func(b *testing.B) { c.load(b, c.reviews) })
}

// contest is a place with something in the way of requests.
type contest struct {
	*place
	mode         string
	registration webhook.Registration
	policies     []lab.Object
	client       *http.Client
	edits        []shot
	reviews      []shot
	verdicts     *verdicts
}

// shot is a request that is put again and again.
type shot struct {
	method, url string
	header      http.Header
	body        []byte
}

// verdicts are the times until verdicts.
type verdicts struct {
	mu   sync.Mutex
	took []time.Duration
}

func (v *verdicts) Answered(_, _, _ string, took time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.took = append(v.took, took)
}

func newContest(b *testing.B) *contest {
	b.Helper()
	own := map[string]bool{"shop": true}
	for i := range homes {
		own[fmt.Sprint("ns-", i)] = true
	}
	w := newWorld(b, engine.Bound{Target: translators.Target{Name: "mesh", Backend: "istio"}, Scope: &engine.Scope{Own: own}})
	c := &contest{mode: "webhook", registration: webhook.Registration{Foreign: "Fail"}, verdicts: &verdicts{}}
	c.place = start(b, w, webhook.Options{Observer: c.verdicts}, c.registration)
	c.registration.URL, c.registration.CABundle, c.registration.Namespace, c.registration.Account = c.url, c.ca, home, c.account
	var many []lab.Object
	for i := range apps {
		many = append(many, app(b, known, i)...)
	}
	w.know(b, append(many, objects(b, known)...)...)
	var out, talk bytes.Buffer
	if code := cli.Main([]string{"policy", "export", "--as", "validatingadmissionpolicy"}, nil, &out, &talk); code != 0 {
		b.Fatal(talk.String())
	}
	c.policies = documents(out.Bytes())
	c.connect(b)
	c.prepare(b)
	return c
}

// app is what the shop has, under another name.
func app(tb testing.TB, text string, i int) []lab.Object {
	tb.Helper()
	name := fmt.Sprint("app-", i)
	return objects(tb, with(text, "reviews", name, "name: routes", "name: "+name, "namespace: shop", fmt.Sprint("namespace: ns-", i%homes)))
}

// connect makes a client that keeps its connections.
func (c *contest) connect(b *testing.B) {
	b.Helper()
	config, err := c.kube.Config()
	if err != nil {
		b.Fatal(err)
	}
	trusted, err := rest.TLSConfigFor(config)
	if err != nil {
		b.Fatal(err)
	}
	trusted.RootCAs.AppendCertsFromPEM(c.ca)
	trusted.NextProtos = []string{"http/1.1"}
	transport := &http.Transport{TLSClientConfig: trusted, MaxIdleConnsPerHost: 512, DisableCompression: true}
	b.Cleanup(transport.CloseIdleConnections)
	c.client = &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

// prepare puts the objects that are edited where they are known, and writes each
// request down.
func (c *contest) prepare(b *testing.B) {
	b.Helper()
	config, err := c.kube.Config()
	if err != nil {
		b.Fatal(err)
	}
	header := http.Header{"Content-Type": {"application/apply-patch+yaml"}, "Authorization": {"Bearer " + config.BearerToken}}
	for i := range homes {
		c.apply(b, fmt.Sprintf("{apiVersion: v1, kind: Namespace, metadata: {name: ns-%d}}", i))
	}
	for i := range edited {
		old := append(app(b, split, i), app(b, known, i)[6:]...)
		now := append(app(b, with(split, "90", "80", "10}", "20}"), i), app(b, with(known, "[GET]", "[GET, HEAD]"), i)[6:]...)
		for j, o := range old {
			if err := c.kube.Apply(o); err != nil {
				b.Fatal(err)
			}
			c.world.know(b, o)
			stored, err := c.kube.Get(o)
			if err != nil {
				b.Fatal(err)
			}
			c.shoot(b, header, stored, now[j])
		}
	}
}

// shoot adds the requests for an edit of a stored object.
func (c *contest) shoot(b *testing.B, header http.Header, old, now lab.Object) {
	b.Helper()
	o, err := json.Marshal(now)
	if err != nil {
		b.Fatal(err)
	}
	meta := now["metadata"].(map[string]any)
	version, kind := fmt.Sprint(now["apiVersion"]), fmt.Sprint(now["kind"])
	group, number, _ := strings.Cut(version, "/")
	c.edits = append(c.edits, shot{http.MethodPatch, fmt.Sprintf("%s/apis/%s/namespaces/%s/%ss/%s?fieldManager=lab&force=true&dryRun=All",
		c.kube.URL, version, meta["namespace"], strings.ToLower(kind), meta["name"]), header, o})
	merged := map[string]any{"apiVersion": version, "kind": kind, "metadata": old["metadata"], "spec": now["spec"]}
	q := admissionv1.AdmissionRequest{UID: "u", Operation: admissionv1.Update, Kind: metav1.GroupVersionKind{Group: group, Version: number, Kind: kind}}
	q.Namespace, q.Name = fmt.Sprint(meta["namespace"]), fmt.Sprint(meta["name"])
	q.Object, q.OldObject = runtime.RawExtension{Raw: encoded(b, merged)}, runtime.RawExtension{Raw: encoded(b, old)}
	review := admissionv1.AdmissionReview{TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"}, Request: &q}
	c.reviews = append(c.reviews, shot{http.MethodPost, c.url + webhook.ValidatePath + "?timeout=5s", http.Header{"Content-Type": {"application/json"}}, encoded(b, review)})
}

func encoded(b *testing.B, value any) []byte {
	b.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		b.Fatal(err)
	}
	return text
}

// enter puts something else in the way of requests.
func (c *contest) enter(b *testing.B, mode string) {
	b.Helper()
	if mode == c.mode {
		return
	}
	switch c.mode {
	case "webhook":
		if err := c.kube.Delete(object(b, "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: meshknot}}")); err != nil {
			b.Fatal(err)
		}
	case "policies":
		for _, o := range c.policies {
			if err := c.kube.Delete(o); err != nil {
				b.Fatal(err)
			}
		}
	}
	c.settled(b, "server with nothing in the way", false)
	switch c.mode = mode; mode {
	case "webhook":
		c.register(b, c.registration)
	case "policies":
		for _, o := range c.policies {
			if err := c.kube.Apply(o); err != nil {
				b.Fatal(err)
			}
		}
		c.settled(b, mode, true)
	}
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

// load puts requests, more of them only where b wants so.
func (c *contest) load(b *testing.B, shots []shot) {
	c.volley(b, shots, warming)
	c.verdicts.took = nil
	n, began := max(b.N, requests), processors(b)
	b.ResetTimer()
	took, late, failed := c.volley(b, shots, n)
	b.StopTimer()
	b.ReportMetric(percentile(took, 50), "p50-ms")
	b.ReportMetric(percentile(took, 99), "p99-ms")
	b.ReportMetric(float64(late), "late")
	b.ReportMetric(float64(failed), "failed")
	b.ReportMetric(float64((processors(b)-began).Microseconds())/1000/float64(n), "cpu-ms/request")
	if v := c.verdicts.took; len(v) > 0 {
		b.ReportMetric(percentile(v, 50), "verdict-p50-ms")
		b.ReportMetric(percentile(v, 99), "verdict-p99-ms")
	}
	b.ReportMetric(0, "ns/op")
}

func percentile(took []time.Duration, p int) float64 {
	slices.Sort(took)
	return float64(took[len(took)*p/100].Microseconds()) / 1000
}

// processors is the time that this process has had of processors.
func processors(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// volley puts n requests, each at its time whatever became of those before it.
func (c *contest) volley(b *testing.B, shots []shot, n int) (took []time.Duration, late, failed int) {
	b.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	begin := time.Now()
	for i := range n {
		due := begin.Add(time.Duration(i) * every)
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
		} else if wait < -every {
			late++
		}
		all.Go(func() {
			from := time.Now()
			err := c.put(shots[i%len(shots)])
			d := time.Since(from)
			mu.Lock()
			defer mu.Unlock()
			if took = append(took, d); err != nil {
				if failed++; failed == 1 {
					b.Log(err)
				}
			}
		})
	}
	all.Wait()
	return took, late, failed
}

// put puts a request, and fails where it is not allowed.
func (c *contest) put(s shot) error {
	q, err := http.NewRequest(s.method, s.url, bytes.NewReader(s.body))
	if err != nil {
		return err
	}
	q.Header = s.header
	answer, err := c.client.Do(q)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err == nil && (answer.StatusCode != http.StatusOK || bytes.Contains(said, []byte(`"allowed":false`))) {
		err = fmt.Errorf("%d %s", answer.StatusCode, said)
	}
	return err
}
