package ask

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

// TrafficTest is a document of tests of what policies mean.
type TrafficTest struct {
	// ID of the document, and File that it stands in.
	ID   input.ID
	File string
	Spec TrafficSpec
}

// TrafficSpec says what is tested.
type TrafficSpec struct {
	// Files are globs, relative to the document's own file; none: its directory.
	Files []string `json:"files"`
	// Access is selected (default), strict or off; Dialect spec (default), osm or traefik.
	Access  string `json:"access"`
	Dialect string `json:"dialect"`
	// Backends are asked too, such as istio@1.26.
	Backends []string      `json:"backends"`
	Tests    []TrafficCase `json:"tests"`
}

// TrafficCase is one test: a request and what is to become of it.
type TrafficCase struct {
	Name    string         `json:"name"`
	From    string         `json:"from"`
	To      string         `json:"to"`
	Request *TrafficCall   `json:"request"`
	Expect  *TrafficExpect `json:"expect"`
}

// TrafficCall is an HTTP request; without one a connection is meant.
type TrafficCall struct {
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers"`
}

// TrafficExpect is what is expected; what is not said does not matter.
type TrafficExpect struct {
	// Decision is allow, deny, mixed or answer.
	Decision string `json:"decision"`
	// Backends are all that get a share, "NS/NAME" or "NS/NAME:PORT", with the
	// percentage of the requests, 0 to 100.
	Backends map[string]float64 `json:"backends"`
	// Status that the proxy answers with, and where a redirect leads.
	Status   int    `json:"status"`
	Location string `json:"location"`
	// Route is the name of the route that is taken; back ends do not know it.
	Route string `json:"route"`
}

type trafficWire struct {
	Spec TrafficSpec `json:"spec"`
}

// Group and KindTrafficTest name the documents.
const (
	Group           = "meshknot.io"
	KindTrafficTest = "TrafficTest"
)

// trafficSchema tells how traffic tests are read.
func trafficSchema() input.Schema {
	return input.Schema{Group: Group, Version: "v1alpha1", Kind: KindTrafficTest, Wire: trafficWire{}, Decode: decodeTraffic}
}

func decodeTraffic(d input.Document) (any, report.Report) {
	w, ok := d.Wire.(*trafficWire)
	if !ok {
		return nil, nil
	}
	var found report.Report
	bad := func(field, format string, args ...any) {
		found = append(found, report.New(report.BadValue, d.Ref(field), fmt.Sprintf(format, args...)))
	}
	s := w.Spec
	if !slices.Contains([]string{"", "selected", "strict", "off"}, s.Access) {
		bad("spec.access", "%q: want selected, strict or off", s.Access)
	}
	if !slices.Contains([]string{"", "spec", "osm", "traefik"}, s.Dialect) {
		bad("spec.dialect", "%q: want spec, osm or traefik", s.Dialect)
	}
	if len(s.Tests) == 0 {
		bad("spec", "there are no tests")
	}
	for i, t := range s.Tests {
		at := input.Element("spec.tests", i)
		if t.Name == "" {
			bad(at, "the test has no name")
		}
		if field, err := t.check(); err != nil {
			bad(at+"."+field, "%v", err)
		}
	}
	return w, found
}

// check returns the field of a test that cannot be understood.
func (t TrafficCase) check() (string, error) {
	if _, err := semantics.ParseCaller(t.From); err != nil {
		return "from", err
	}
	if err := new(semantics.Request).ParseCallee(t.To); err != nil {
		return "to", err
	}
	if err := WellFormed(t.request()); err != nil {
		return "request", err
	}
	if t.Expect == nil || t.Expect.Decision == "" && t.Expect.Backends == nil && t.Expect.Status == 0 && t.Expect.Location == "" && t.Expect.Route == "" {
		return "expect", fmt.Errorf("the test expects nothing")
	}
	if !slices.Contains([]string{"", "allow", "deny", "mixed", "answer"}, t.Expect.Decision) {
		return "expect.decision", fmt.Errorf("%q: want allow, deny, mixed or answer", t.Expect.Decision)
	}
	for name := range t.Expect.Backends {
		if _, _, ok := strings.Cut(name, "/"); !ok {
			return "expect.backends", fmt.Errorf("%q: want NS/NAME or NS/NAME:PORT", name)
		}
	}
	return "", nil
}

// request returns the request of a test that was checked.
func (t TrafficCase) request() semantics.Request {
	q := semantics.Request{Headers: map[string][]string{}, Raw: t.Request == nil}
	q.From, _ = semantics.ParseCaller(t.From) // check has done so
	_ = q.ParseCallee(t.To)
	if t.Request != nil {
		q.Method, q.Path = t.Request.Method, t.Request.Path
		for name, value := range t.Request.Headers {
			name = strings.ToLower(name)
			q.Headers[name] = append(q.Headers[name], value)
		}
	}
	return q
}

// ReadTraffic reads the traffic tests of a file. The set finds their places.
func ReadTraffic(file string) ([]TrafficTest, *input.Set, report.Report) {
	set, found := input.Read([]string{file}, input.Options{Schemas: []input.Schema{trafficSchema()}})
	var out []TrafficTest
	for _, o := range set.Objects {
		if w, ok := o.Value.(*trafficWire); ok {
			out = append(out, TrafficTest{o.ID, file, w.Spec})
		}
	}
	return out, set, found
}

// unmet lists what of a test's expectations a decision does not fulfil.
func (e TrafficExpect) unmet(q semantics.Request, d semantics.Decision, model bool) []string {
	var out []string
	differ := func(what string, want, got any) {
		if want != got {
			out = append(out, fmt.Sprintf("%s: want %v, got %v", what, want, got))
		}
	}
	if e.Decision != "" {
		differ("decision", e.Decision, string(d.Verdict))
	}
	if e.Status != 0 {
		differ("status", e.Status, d.Status)
	}
	if e.Location != "" {
		differ("location", e.Location, d.Location)
	}
	if e.Route != "" && model {
		differ("route", e.Route, d.Route)
	}
	if e.Backends != nil {
		out = append(out, e.shares(d)...)
	}
	if len(out) > 0 {
		out = append(out, fmt.Sprintf("%s: %s, %s", q, d.Verdict, semantics.Outcome(d)))
	}
	return out
}

// shares compares who gets the requests with who is expected to.
func (e TrafficExpect) shares(d semantics.Decision) []string {
	const rounding = 0.01 // percent: what the model divides, people round
	have := map[string]float64{}
	for _, s := range d.Shares {
		name := s.Service.String()
		if port := (ir.ServicePort{Service: s.Service, Port: s.Port}).String(); e.names(port) {
			name = port
		}
		have[name] += s.Percent
	}
	var out []string
	for _, name := range sorted(e.Backends) {
		if got := have[name]; got < e.Backends[name]-rounding || got > e.Backends[name]+rounding {
			out = append(out, fmt.Sprintf("backend %s: want %s%%, got %s%%", name, short(e.Backends[name]), short(got)))
		}
	}
	for _, name := range sorted(have) {
		if !e.names(name) {
			out = append(out, fmt.Sprintf("backend %s: not expected, gets %s%%", name, short(have[name])))
		}
	}
	return out
}

func (e TrafficExpect) names(backend string) bool { _, ok := e.Backends[backend]; return ok }
