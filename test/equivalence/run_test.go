package equivalence

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/semantics"
)

// liar is a plane that does what the policy means, but for what twist changes.
type liar struct {
	judge
	refuses error
	twist   func(semantics.Request, semantics.Decision, *planes.Answer)

	mu     sync.Mutex
	chance *rand.Rand
	model  semantics.Model
}

func (l *liar) Name() string       { return "liar" }
func (l *liar) Programs() []string { return nil }
func (l *liar) Close()             {}

func (l *liar) Show(s planes.Scene) (planes.Showing, error) {
	b, _ := all.Pipeline().Backend("envoy")
	out := planes.Showing{World: interpret.WorldOf(s.Units)}
	for _, u := range s.Units {
		out.Pieces = append(out.Pieces, translators.Translate(u, b, translators.Target{Backend: "envoy"}, nil))
	}
	l.judge, l.model = judge{out.World}, semantics.New(unitsOf(out.Pieces))
	return out, l.refuses
}

func (l *liar) Ask(q semantics.Request) planes.Answer {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.model.Decide(q)
	a := planes.Answer{Status: d.Status, Location: d.Location}
	switch {
	case len(d.Shares) > 0:
		a = l.share(d)
	case d.Verdict == semantics.Allow:
		a = planes.Answer{Status: 200, App: planes.Process(q.Workload, q.Port)}
	case d.Verdict == semantics.Deny:
		a = planes.Answer{Status: 403, Denied: true}
	}
	if l.twist != nil {
		l.twist(q, d, &a)
	}
	return a
}

func (l *liar) share(d semantics.Decision) planes.Answer {
	at := l.chance.Float64() * 100
	s := d.Shares[0]
	for _, s = range d.Shares {
		if at -= s.Percent; at < 0 {
			break
		}
	}
	switch {
	case s.Invalid != "":
		return planes.Answer{Status: s.Status}
	case !s.Allowed:
		return planes.Answer{Status: 403, Denied: true}
	}
	h := http.Header{"X-Heard": {"-"}}
	for name, lines := range marked(marked(lower(lab.Answered), d.Sent.Response), s.Response) {
		h[http.CanonicalHeaderKey(name)] = lines
		if lines == nil {
			delete(h, http.CanonicalHeaderKey(name))
		}
	}
	app := l.behind(s)[0]
	return planes.Answer{Status: 200, App: app, Header: h,
		Heard: lab.Heard{App: app, Host: d.Sent.Host, Path: d.Sent.Path, Headers: semantics.Edited(d.Sent.Headers, s.Request)}}
}

// TestRunner: a plane that does what is meant passes, and one that lies in any way
// does not, nor does one that cannot play.
func TestRunner(t *testing.T) {
	asked, drawn := map[string]int{}, 0
	all, err := Golden("../cases")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		refuses error
		twist   func(semantics.Request, semantics.Decision, *planes.Answer)
		about   string // what fails; empty: nothing does
		text    string
	}{
		{name: "honest"},
		{name: "late", twist: func(q semantics.Request, _ semantics.Decision, a *planes.Answer) {
			if asked[q.String()]++; asked[q.String()] == 1 {
				*a = planes.Answer{Status: 503}
			}
		}},
		{name: "lets through", about: AboutModel, text: "allows", twist: func(q semantics.Request, d semantics.Decision, a *planes.Answer) {
			if a.Denied && q.Workload.Name != "" {
				*a = planes.Answer{Status: 200, App: planes.Process(q.Workload, q.Port)}
			}
		}},
		{name: "denies", about: AboutModel, text: "denies", twist: func(q semantics.Request, d semantics.Decision, a *planes.Answer) {
			if a.App != "" && q.Method == "POST" {
				*a = planes.Answer{Status: 403, Denied: true}
			}
		}},
		{name: "strays", about: AboutModel, text: "-v3:", twist: func(q semantics.Request, _ semantics.Decision, a *planes.Answer) {
			if q.Service.Name != "" {
				a.App = strings.Replace(a.App, "-v1", "-v3", 1)
			}
		}},
		{name: "rewrites", about: AboutModel, text: "edits", twist: func(_ semantics.Request, _ semantics.Decision, a *planes.Answer) {
			if a.Heard.Path != "" {
				a.Heard.Path += "/more"
			}
		}},
		{name: "adds to the answer", about: AboutModel, text: "edits", twist: func(_ semantics.Request, _ semantics.Decision, a *planes.Answer) {
			if a.Header != nil {
				a.Header["X-More"] = []string{"another"}
			}
		}},
		{name: "prefers one", about: AboutModel, text: "instead of", twist: func(_ semantics.Request, d semantics.Decision, a *planes.Answer) {
			if drawn++; len(d.Shares) > 1 && drawn%4 == 0 {
				a.App = strings.Replace(a.App, "-v2", "-v1", 1)
			}
		}},
		{name: "hangs up", about: AboutPlane, twist: func(_ semantics.Request, _ semantics.Decision, a *planes.Answer) {
			if a.Status == 200 {
				*a = planes.Answer{Err: errors.New("reset")}
			}
		}},
		{name: "dead", refuses: errors.New("died"), about: AboutPlane, text: "died"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &liar{refuses: c.refuses, twist: c.twist, chance: rand.New(rand.NewPCG(1, 1))}
			r := &Runner{Plane: l, Backend: "envoy", Limit: 60, Draws: 1000, Measured: 3, Patience: 50 * time.Millisecond, Tally: NewTally("liar", "envoy")}
			var failed []Failure
			for _, s := range all {
				if strings.HasPrefix(s.Name, "golden/split/c") || strings.HasPrefix(s.Name, "golden/access/path-") || s.Name == "golden/routes/headers" {
					failed = append(failed, r.Play(s, 1)...)
				}
			}
			if c.about == "" && len(failed) > 0 {
				t.Fatal(failed[0])
			}
			for _, f := range failed {
				if f.About != c.about || !strings.Contains(f.Text, c.text) {
					t.Errorf("%s, want %s %q", f, c.about, c.text)
				}
			}
			if c.about != "" && len(failed) == 0 {
				t.Errorf("nothing fails\n%s", r.Tally)
			}
			if c.name == "late" != (r.Tally.Retries > 0) && c.about == "" {
				t.Errorf("%d decisions were asked again", r.Tally.Retries)
			}
			if c.refuses == nil && (r.Tally.Asked() < 50 || c.about == "" && r.Tally.Distributions < 3) {
				t.Errorf("too little was compared:\n%s", r.Tally)
			}
		})
	}
}
