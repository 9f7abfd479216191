package traffic

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// question is a request that is asked again and again.
type question struct{ service, path, user string }

// questions are all of them.
func questions() []question {
	out := []question{{"orders", "/", ""}, {"orders", "/list", "canary"}}
	for _, p := range paths {
		out = append(out, question{"reviews", p, ""}, question{"reviews", p, "canary"})
	}
	return out
}

// meaning is who may answer each question under one policy, and when it was in force.
type meaning struct {
	answers map[question]map[string]bool
	from    time.Time
	// until is when every proxy had confirmed the next; zero before.
	until time.Time
}

func meaningOf(units []ir.Unit) (*meaning, error) {
	out := &meaning{answers: map[question]map[string]bool{}, from: time.Now()}
	m := semantics.New(units)
	for _, q := range questions() {
		r := semantics.Request{From: &ir.Identity{Namespace: namespace, Account: "web"}, Service: ir.Name{Namespace: namespace, Name: q.service},
			Port: 80, Method: "GET", Path: q.path, Headers: map[string][]string{}}
		if q.user != "" {
			r.Headers["x-user"] = []string{q.user}
		}
		d := m.Decide(r)
		if d.Verdict != semantics.Allow || len(d.Shares) == 0 {
			return nil, fmt.Errorf("%v is not answered by a backend: %s", q, semantics.Outcome(d))
		}
		out.answers[q] = map[string]bool{}
		for _, s := range d.Shares {
			if s.Invalid != "" {
				return nil, fmt.Errorf("%v: share of %s fails: %s", q, s.Service, s.Invalid)
			}
			out.answers[q][s.Service.Name] = true
		}
	}
	return out, nil
}

// history is the policies that were in force. It is safe for concurrent use.
type history struct {
	mu  sync.Mutex
	all []*meaning
}

// A proxy confirms before its workers act on it.
const grace = time.Second

func (h *history) begin(m *meaning) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, m)
}

// settled notes that nothing but the newest policy is in force any more.
func (h *history) settled() {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	for _, m := range h.all[:len(h.all)-1] {
		if m.until.IsZero() {
			m.until = now
		}
	}
	for len(h.all) > 1 && now.Sub(h.all[0].until) > time.Minute {
		h.all = h.all[1:]
	}
}

// may reports whether a policy that was in force between two times has somebody
// answer a question.
func (h *history) may(q question, who string, began, ended time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.all {
		if m.from.After(ended) || !m.until.IsZero() && m.until.Add(grace).Before(began) {
			continue
		}
		if m.answers[q][who] {
			return true
		}
	}
	return false
}

// load is constant traffic through proxies.
type load struct {
	*history
	// at is where each proxy listens for calls to each Service.
	at []map[string]string

	asked  atomic.Int64
	failed atomic.Int64
	mu     sync.Mutex
	said   []string // the first failures
}

func (l *load) fail(format string, args ...any) {
	l.failed.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.said) < 20 {
		l.said = append(l.said, fmt.Sprintf(format, args...))
	}
}

// run asks, with a number of callers at each proxy, until ctx ends. Now and then
// a caller connects anew.
func (l *load) run(ctx context.Context, callers int) {
	var all sync.WaitGroup
	for proxy := range l.at {
		for c := range callers {
			all.Go(func() { l.caller(ctx, proxy, c) })
		}
	}
	all.Wait()
}

func (l *load) caller(ctx context.Context, proxy, offset int) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	asks := questions()
	for i := offset; ctx.Err() == nil; i++ {
		if i%500 == 0 {
			transport.CloseIdleConnections()
		}
		l.ask(client, proxy, asks[i%len(asks)])
	}
}

func (l *load) ask(client *http.Client, proxy int, q question) {
	began := time.Now()
	r, err := http.NewRequest(http.MethodGet, "http://"+l.at[proxy][q.service]+q.path, nil)
	if err != nil {
		l.fail("%v", err)
		return
	}
	if q.user != "" {
		r.Header.Set("X-User", q.user)
	}
	l.asked.Add(1)
	answer, err := client.Do(r)
	if err != nil {
		l.fail("proxy %d, %v: %v", proxy, q, err)
		return
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
	switch {
	case err != nil:
		l.fail("proxy %d, %v: reading the answer: %v", proxy, q, err)
	case answer.StatusCode != http.StatusOK:
		l.fail("proxy %d, %v: status %d %s %s", proxy, q, answer.StatusCode, answer.Header.Get("X-Envoy-Response-Flags"), body)
	case !l.may(q, string(body), began, time.Now()):
		l.fail("proxy %d, %v: answered by %s, which no policy in force means", proxy, q, body)
	}
}
