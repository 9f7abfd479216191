package migrate

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

// Proof is what comes of holding the converted objects against the old ones.
type Proof struct {
	// Requests is how many kinds of requests were decided both ways.
	Requests int
	// Differ are those that are decided otherwise now.
	Differ []Difference
	// Found are the findings of reading back what was made.
	Found report.Report
	// Access says how far who may call is proved.
	Access string
}

// Difference is a request that goes elsewhere.
type Difference struct {
	Request  semantics.Request
	Old, New string
	Because  []report.Ref
}

// Holds reports whether everything decides as before.
func (p Proof) Holds() bool { return len(p.Differ) == 0 && p.Found.Worst(report.Error) == 0 }

// Verify reads back what was converted, beside what is kept, and decides every
// kind of request that either policy tells apart by both. Where a call is sent
// is compared; who may call cannot be read back from the form of a mesh.
func (m *Migration) Verify(c Conversion) (Proof, error) {
	p := Proof{Access: m.proved(c)}
	var text bytes.Buffer
	if err := sink.YAML(&text, c.Routes); err != nil {
		return p, err
	}
	made, found := input.ReadFiles([]input.File{{Name: "converted.yaml", Data: text.Bytes()}}, input.Options{Schemas: m.pipeline.Schemas()})
	p.Found = slices.DeleteFunc(found, func(f report.Finding) bool { return f.Code == report.NothingRead })
	var after []input.Object
	for _, o := range slices.Concat(m.set.Objects, m.set.Rejected) {
		if !fromSMI(o.Ref("")) {
			after = append(after, o)
		}
	}
	after = slices.Concat(after, made.Objects, made.Rejected)
	units, said := m.pipeline.Lower(input.StoreOf(after, m.settings))
	for _, f := range said {
		meant := f.Code == report.MissingBackend || f.Code == report.BadBackendKind // a share that failed before fails now
		if !meant && slices.ContainsFunc(made.Objects, func(o input.Object) bool { return o.Ref("") == f.Source.Object() }) {
			p.Found = append(p.Found, f)
		}
	}
	p.compare(routing(m.units), routing(units))
	return p, nil
}

// routing returns what a model says of where calls go, and nothing of who may call.
func routing(units []ir.Unit) []ir.Unit {
	return slices.DeleteFunc(slices.Clone(units), access)
}

func (p *Proof) compare(before, after []ir.Unit) {
	old, now := semantics.New(before), semantics.New(after)
	known := map[ir.Name]bool{}
	for _, u := range before {
		if u.Service != nil && !u.Service.Inferred {
			known[ir.Name{Namespace: u.Service.Namespace, Name: u.Service.Name}] = true
		}
	}
	for _, q := range slices.Concat(semantics.Classes(before), semantics.Classes(after)) {
		if q.Service != (ir.Name{}) && !known[q.Service] { // what is not given cannot be attached to
			continue
		}
		p.Requests++
		a, b := old.Decide(q), now.Decide(q)
		if !alike(a, b) {
			p.Differ = append(p.Differ, Difference{q, outcome(a), outcome(b), a.Because})
		}
	}
}

// rounding is by how many percent a share may differ that had to be rounded to
// Gateway API's range of weights: sixteen backends by a millionth each.
const rounding = 16 * 100.0 / 1_000_000

// alike reports whether two decisions are the same to callers and to backends.
// Names of routes, and the places that decide, are not.
func alike(a, b semantics.Decision) bool {
	return a.Verdict == b.Verdict && a.Status == b.Status && a.Location == b.Location &&
		fmt.Sprint(a.Sent.Host, a.Sent.Path, a.Sent.Headers, edit(a.Sent.Response)) == fmt.Sprint(b.Sent.Host, b.Sent.Path, b.Sent.Headers, edit(b.Sent.Response)) &&
		a.Timeout.Request == b.Timeout.Request && a.Timeout.Backend == b.Timeout.Backend &&
		slices.EqualFunc(a.Shares, b.Shares, sameShare) && slices.EqualFunc(a.Mirrors, b.Mirrors, sameShare)
}

func sameShare(a, b semantics.Share) bool {
	return a.Service == b.Service && a.Port == b.Port && (a.Invalid == "") == (b.Invalid == "") &&
		math.Abs(a.Percent-b.Percent) <= rounding && edit(a.Request) == edit(b.Request) && edit(a.Response) == edit(b.Response)
}

func edit(e *ir.HeaderEdit) string {
	if e == nil {
		return ""
	}
	return fmt.Sprint(e.Set, e.Add, e.Remove)
}

// outcome says what becomes of a request.
func outcome(d semantics.Decision) string {
	if d.Status != 0 {
		return strings.TrimSpace(fmt.Sprintf("%d %s", d.Status, d.Location))
	}
	var out []string
	for _, s := range d.Shares {
		one := fmt.Sprintf("%.4g %% to %s:%d", s.Percent, s.Service, s.Port)
		if s.Invalid != "" {
			one += " (fails)"
		}
		out = append(out, one)
	}
	for _, s := range d.Mirrors {
		out = append(out, fmt.Sprintf("%.4g %% copied to %s:%d", s.Percent, s.Service, s.Port))
	}
	if len(out) == 0 {
		return string(d.Verdict)
	}
	return strings.Join(out, ", ")
}

// proved says how far it is proved who may call.
func (m *Migration) proved(c Conversion) string {
	switch {
	case !c.Denies:
		return "nothing is denied, so there is nothing to prove of who may call"
	case m.authorization() == "":
		return "who may call is not converted"
	case len(c.Access) == 0:
		return "who may call could not be converted"
	}
	narrowed := 0
	for _, f := range c.ByHand() {
		if f.Severity == report.Error {
			narrowed++
		}
	}
	said := fmt.Sprintf("who may call is written in %d objects of %s, which cannot be read back: their proof is that back end's table, which lets no more through",
		len(c.Access), m.authorization())
	if narrowed > 0 {
		return said + fmt.Sprintf("; %d of what is granted is left out, and stays denied", narrowed)
	}
	return said + " and refuses nothing here"
}

// Line writes a request as people read it.
func Line(q semantics.Request) string {
	from := "anybody"
	if q.From != nil {
		from = q.From.Namespace + "/" + q.From.Account
	}
	to := q.Service
	if to == (ir.Name{}) {
		to = q.Gateway
	}
	said := fmt.Sprintf("%s -> %s:%d", from, to, q.Port)
	if q.Raw {
		return said + " (a connection)"
	}
	said += " " + q.Method + " " + q.Path
	var names []string
	for n := range q.Headers {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		for _, v := range q.Headers[n] {
			said += fmt.Sprintf(" -H '%s: %s'", n, v)
		}
	}
	return said
}
