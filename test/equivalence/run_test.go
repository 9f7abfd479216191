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

// liar is a plane that does what its interpreter reads, but for what twist changes.
type liar struct {
	judge
	refuses error
	read    interpret.New
	twist   func(semantics.Request, semantics.Decision, *planes.Answer)

	mu     sync.Mutex
	chance *rand.Rand
	mesh   interpret.Mesh
}

func (l *liar) Name() string       { return "liar" }
func (l *liar) Programs() []string { return nil }
func (l *liar) Close()             {}

func (l *liar) Show(s planes.Scene) (planes.Showing, error) {
	b, _ := all.Pipeline().Backend("envoy")
	out := planes.Showing{World: interpret.WorldOf(s.Units)}
	out.Output, out.Pieces = translators.Make(s.Units, b, translators.Target{Backend: "envoy"}, nil)
	l.judge = judge{out.World}
	l.mesh, _ = l.read(out.World, out.Output.Target, out.Output.Artifacts) // who cannot is asked nothing
	return out, l.refuses
}

// open is what lets everybody in, whatever it was told.
type open struct{ interpret.Mesh }

func (o open) Admit(a interpret.Arrival) interpret.Admission {
	return interpret.Admission{Allowed: true, By: o.Mesh.Admit(a).By}
}

func (l *liar) Ask(q semantics.Request) planes.Answer {
	l.mu.Lock()
	defer l.mu.Unlock()
	d, _ := interpret.Decide(l.world, l.mesh, q)
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
	for name, lines := range marked(marked(lab.Lines(lab.Answered), d.Sent.Response), s.Response) {
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
// does not, nor does one that cannot play or cannot be read. Who lies as it is read
// does what the policy does not mean.
func TestRunner(t *testing.T) {
	asked, drawn := map[string]int{}, 0
	read, _ := all.Interpreter("envoy")
	scenes, err := Golden("../cases")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		refuses error
		read    interpret.New // nil: Envoy's
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
		{name: "lets through", about: AboutInterpreter, text: " instead of denied", twist: func(q semantics.Request, d semantics.Decision, a *planes.Answer) {
			if a.Denied && q.Workload.Name != "" {
				*a = planes.Answer{Status: 200, App: planes.Process(q.Workload, q.Port)}
			}
		}},
		{name: "denies", about: AboutInterpreter, text: "denied instead of ", twist: func(q semantics.Request, d semantics.Decision, a *planes.Answer) {
			if a.App != "" && q.Method == "POST" {
				*a = planes.Answer{Status: 403, Denied: true}
			}
		}},
		{name: "strays", about: AboutInterpreter, text: "-v3:", twist: func(q semantics.Request, _ semantics.Decision, a *planes.Answer) {
			if q.Service.Name != "" {
				a.App = strings.Replace(a.App, "-v1", "-v3", 1)
			}
		}},
		{name: "rewrites", about: AboutInterpreter, text: `instead of path "`, twist: func(_ semantics.Request, _ semantics.Decision, a *planes.Answer) {
			if a.Heard.Path != "" {
				a.Heard.Path += "/more"
			}
		}},
		{name: "adds to the answer", about: AboutInterpreter, text: "instead of answer x-more ", twist: func(_ semantics.Request, _ semantics.Decision, a *planes.Answer) {
			if a.Header != nil {
				a.Header["X-More"] = []string{"another"}
			}
		}},
		{name: "prefers one", about: AboutInterpreter, text: "instead of", twist: func(_ semantics.Request, d semantics.Decision, a *planes.Answer) {
			if drawn++; len(d.Shares) > 1 && drawn%4 == 0 {
				a.App = strings.Replace(a.App, "-v2", "-v1", 1)
			}
		}},
		{name: "hangs up", about: AboutPlane, twist: func(_ semantics.Request, _ semantics.Decision, a *planes.Answer) {
			if a.Status == 200 {
				*a = planes.Answer{Err: errors.New("reset")}
			}
		}},
		{name: "lets all in, as is read", about: AboutModel, text: "allows", read: func(w interpret.World, t translators.Target, artifacts []translators.Artifact) (interpret.Mesh, error) {
			m, err := read(w, t, artifacts)
			return open{m}, err
		}},
		{name: "cannot be read", about: AboutInterpreter, text: "who wrote this", read: func(interpret.World, translators.Target, []translators.Artifact) (interpret.Mesh, error) {
			return nil, errors.New("who wrote this")
		}},
		{name: "dead", refuses: errors.New("died"), about: AboutPlane, text: "died"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.read == nil {
				c.read = read
			}
			l := &liar{refuses: c.refuses, read: c.read, twist: c.twist, chance: rand.New(rand.NewPCG(1, 1))}
			r := &Runner{Plane: l, Backend: "envoy", Read: c.read, Limit: 60, Draws: 1000, Measured: 3, Patience: 50 * time.Millisecond, Tally: NewTally("liar", "envoy")}
			var failed []Failure
			for _, s := range scenes {
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
			if c.refuses == nil && l.mesh != nil && (r.Tally.Asked() < 50 || c.about == "" && r.Tally.Distributions < 3) {
				t.Errorf("too little was compared:\n%s", r.Tally)
			}
		})
	}
}
