package cli

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/internal/ask"
	"github.com/meshknot/meshknot/policies"
	"github.com/meshknot/meshknot/translators/report"
)

// trafficCase is a test as it is told, whatever kind it is.
type trafficCase struct {
	Name    string   `json:"name"`
	File    string   `json:"file"`
	Line    int      `json:"line,omitempty"`
	Result  string   `json:"result"`
	Seconds float64  `json:"seconds"`
	Why     []string `json:"why,omitempty"`
	Because []string `json:"because,omitempty"`
}

// The results of a test.
const (
	testPass   = "pass"
	testFail   = "fail"
	testSkip   = "skip"
	testCannot = "cannot"
)

func (f trafficFile) cases() []trafficCase {
	out := []trafficCase{}
	for _, r := range f.traffic {
		c := trafficCase{Name: r.Name, File: f.name, Result: trafficResult(r), Seconds: r.Duration.Seconds(), Why: r.Failures}
		if p, ok := f.set.Locate(r.At); ok {
			c.Line = p.Line
		}
		if len(r.Failures) > 0 {
			for _, ref := range r.Because {
				c.Because = append(c.Because, place(r.Tested, ref)+"  "+ref.String())
			}
		}
		out = append(out, c)
	}
	for _, r := range f.rego {
		c := trafficCase{Name: r.Name, File: r.File, Line: r.Line, Result: regoResult(r), Seconds: r.Duration.Seconds()}
		if r.Message != "" {
			c.Why = strings.Split(r.Message, "\n")
		}
		out = append(out, c)
	}
	return out
}

// told are the cases as programs are told them: a file in error is one more, for
// they may not look at the exit status.
func (f trafficFile) told() []trafficCase {
	out := f.cases()
	if f.broken {
		out = append(out, trafficCase{Name: f.name, File: f.name, Result: testCannot, Why: []string{"the file has errors"}})
	}
	return out
}

func trafficResult(r ask.TrafficResult) string {
	switch {
	case r.Cannot:
		return testCannot
	case r.Passed:
		return testPass
	}
	return testFail
}

func regoResult(r policies.TestResult) string {
	switch {
	case r.Skipped:
		return testSkip
	case r.Passed:
		return testPass
	}
	return testFail
}

// show tells how all tests went, and decides the exit status.
func (t *traffic) show() error {
	counts := map[string]int{}
	for _, f := range t.files {
		for _, c := range f.cases() {
			counts[c.Result]++
		}
	}
	var err error
	switch t.view.output {
	case "json":
		err = report.WriteJSON(t.app.out, t.json())
	case "junit":
		err = t.junit()
	default:
		err = t.text(counts)
	}
	switch {
	case err != nil:
		return err
	case t.unreadable || counts[testCannot] > 0:
		return status{code: exitCannot}
	case counts[testFail] > 0 || counts[testPass] == 0:
		return status{code: exitNo}
	}
	return nil
}

// text looks as go test does.
func (t *traffic) text(counts map[string]int) error {
	s := t.app.screen(nil, t.view)
	for _, f := range t.files {
		bad, ran := 0, f.cases()
		for _, c := range ran {
			if c.Result == testFail || c.Result == testCannot {
				bad++
			} else if !t.verbose {
				continue
			}
			t.test(s, c)
		}
		switch {
		case f.broken:
			s.line(s.paint("FAIL", red) + "  " + printable(f.name) + "  the file has errors")
		case len(ran) == 0:
			s.line("?   " + printable(f.name) + "  no tests to run")
		case bad > 0:
			s.line(s.paint("FAIL", red) + fmt.Sprintf("  %s  %d of %s", printable(f.name), bad, counted(len(ran), "test")))
		default:
			s.line(s.paint("ok", green) + fmt.Sprintf("  %s  %s", printable(f.name), counted(len(ran), "test")))
		}
	}
	if t.cover {
		t.covered(s)
	}
	if n := counts[testCannot]; n > 0 {
		s.line(fmt.Sprintf("%s cannot be decided", counted(n, "test")))
	}
	return s.flush()
}

func (t *traffic) test(s *screen, c trafficCase) {
	word := map[string]string{testPass: s.paint("PASS", green), testSkip: s.paint("SKIP", yellow)}[c.Result]
	if word == "" {
		word = s.paint("FAIL", red)
	}
	s.line(fmt.Sprintf("--- %s: %s (%.2fs)", word, printable(c.Name), c.Seconds))
	if c.Result == testPass {
		return
	}
	at := ""
	if c.Line > 0 {
		at = fmt.Sprintf("%s:%d: ", c.File, c.Line)
	}
	for _, why := range c.Why {
		s.wrapped("    ", at+why)
		at = ""
	}
	const most = 3
	for _, b := range c.Because[:min(most, len(c.Because))] {
		s.line("      " + printable(b))
	}
}

// covered tells which rules decided nothing, and where they stand.
func (t *traffic) covered(s *screen) {
	for _, c := range t.runs.Coverage() {
		s.set = c.Set
		s.line(fmt.Sprintf("coverage: %.1f%% of %s in %s", c.Percent(), counted(c.Rules, "rule"), printable(c.Input)))
		for _, m := range c.Missed {
			s.line(fmt.Sprintf("  %s  no test decides by this %s", s.place(m.Ref), m.What))
			if line := s.excerpt(m.Ref); line != "" {
				s.line("      " + line)
			}
		}
	}
}

// The shapes of "test -o json".
type (
	trafficReport struct {
		Tests    []trafficCase `json:"tests"`
		Coverage []coverPart   `json:"coverage"`
	}
	coverPart struct {
		Input   string     `json:"input"`
		Rules   int        `json:"rules"`
		Percent float64    `json:"percent"`
		Missed  []linePart `json:"missed"`
	}
)

func (t *traffic) json() trafficReport {
	out := trafficReport{Tests: []trafficCase{}, Coverage: []coverPart{}}
	for _, f := range t.files {
		out.Tests = append(out.Tests, f.told()...)
	}
	for _, c := range t.runs.Coverage() {
		part := coverPart{c.Input, c.Rules, c.Percent(), []linePart{}}
		for _, m := range c.Missed {
			part.Missed = append(part.Missed, linePartOf(c.Set, m.Ref))
		}
		out.Coverage = append(out.Coverage, part)
	}
	return out
}

// The shapes of "test -o junit", as build services read them.
type (
	junitSuites struct {
		XMLName xml.Name `xml:"testsuites"`
		Suites  []junitSuite
	}
	junitSuite struct {
		XMLName  xml.Name `xml:"testsuite"`
		Name     string   `xml:"name,attr"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Errors   int      `xml:"errors,attr"`
		Cases    []junitCase
	}
	junitCase struct {
		XMLName xml.Name  `xml:"testcase"`
		Name    string    `xml:"name,attr"`
		Class   string    `xml:"classname,attr"`
		File    string    `xml:"file,attr"`
		Line    int       `xml:"line,attr,omitempty"`
		Time    string    `xml:"time,attr"`
		Failure *junitWhy `xml:"failure"`
		Error   *junitWhy `xml:"error"`
		Skipped *struct{} `xml:"skipped"`
	}
	junitWhy struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

func (t *traffic) junit() error {
	var out junitSuites
	for _, f := range t.files {
		suite := junitSuite{Name: f.name}
		for _, c := range f.told() {
			one := junitCase{Name: printable(c.Name), Class: "meshknot." + f.name, File: c.File, Line: c.Line, Time: fmt.Sprintf("%.3f", c.Seconds)}
			var lines []string
			for _, line := range slices.Concat(c.Why, c.Because) {
				lines = append(lines, printable(line))
			}
			switch c.Result {
			case testFail:
				suite.Failures++
				one.Failure = &junitWhy{printable(c.Why[0]), strings.Join(lines, "\n")}
			case testCannot:
				suite.Errors++
				one.Error = &junitWhy{printable(c.Why[0]), strings.Join(lines, "\n")}
			case testSkip:
				one.Skipped = &struct{}{}
			}
			suite.Cases = append(suite.Cases, one)
		}
		suite.Tests = len(suite.Cases)
		out.Suites = append(out.Suites, suite)
	}
	text, err := xml.MarshalIndent(out, "", "  ")
	if err != nil {
		return status{exitCannot, err}
	}
	_, err = fmt.Fprintf(t.app.out, "%s%s\n", xml.Header, text)
	return err
}
