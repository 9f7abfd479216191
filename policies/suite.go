package policies

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/meshknot/meshknot/translators/report"
)

// TestResult is how one test of a rule went.
type TestResult struct {
	// Name is "package.test_name" of a Rego test, or "folder/samples/fail.yaml".
	Name    string `json:"name"`
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Passed  bool   `json:"passed"`
	Skipped bool   `json:"skipped,omitempty"`
	// Message says why a test failed.
	Message string `json:"message,omitempty"`
	// Output is what the test printed.
	Output   string        `json:"output,omitempty"`
	Duration time.Duration `json:"duration"`
}

// FileCoverage tells how much of a rule file its tests ran.
type FileCoverage struct {
	File string `json:"file"`
	// Percent of the lines that could run; Missed lists the first lines of those
	// stretches that did not.
	Percent float64 `json:"percent"`
	Missed  []int   `json:"missed,omitempty"`
}

// Test runs the Rego tests of a folder, which are rules named test_ in files
// named *_test.rego, and checks the samples that lie beside rules: every rule of
// a folder must find nothing in its samples/pass.yaml and samples/near-miss.yaml
// and something in its samples/fail.yaml. Only tests whose name matches the
// expression run are run; empty means all. What does not load is a failed test.
func Test(ctx context.Context, fsys fs.FS, run string) ([]TestResult, error) {
	return suite(ctx, fsys, run, nil)
}

// TestCoverage is Test, and tells too what the Rego tests covered.
func TestCoverage(ctx context.Context, fsys fs.FS, run string) ([]TestResult, []FileCoverage, error) {
	tracer := cover.New()
	results, err := suite(ctx, fsys, run, tracer)
	if err != nil {
		return nil, nil, err
	}
	modules, err := Load(fsys, "")
	if err != nil {
		return nil, nil, err
	}
	var coverage []FileCoverage
	all := tracer.Report(compile(modules, true).modules)
	for _, m := range modules {
		f, ok := all.Files[m.File]
		if !ok || m.isTest() {
			continue
		}
		c := FileCoverage{File: m.File, Percent: f.Coverage}
		for _, missed := range f.NotCovered {
			c.Missed = append(c.Missed, missed.Start.Row)
		}
		coverage = append(coverage, c)
	}
	return results, coverage, nil
}

func suite(ctx context.Context, fsys fs.FS, run string, tracer *cover.Cover) ([]TestResult, error) {
	wanted, err := regexp.Compile(run)
	if err != nil {
		return nil, fmt.Errorf("reading the expression of tests to run: %w", err)
	}
	modules, err := Load(fsys, "")
	if err != nil {
		return nil, err
	}
	p := compile(modules, true)
	var results []TestResult
	for _, f := range p.problems {
		results = append(results, TestResult{Name: cmp.Or(f.At.File, "rules"), File: f.At.File, Line: f.At.Line,
			Message: fmt.Sprintf("%s %s", f.Code, f.Message)})
	}
	rego, err := regoTests(ctx, p, wanted, tracer)
	if err != nil {
		return nil, err
	}
	results = slices.Concat(results, rego, sampleTests(ctx, fsys, p, wanted))
	slices.SortStableFunc(results, func(a, b TestResult) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), strings.Compare(a.Name, b.Name))
	})
	return results, nil
}

// regoTests runs the tests of a plan that was compiled with tests.
func regoTests(ctx context.Context, p *plan, wanted *regexp.Regexp, tracer *cover.Cover) ([]TestResult, error) {
	runner := tester.NewRunner().
		SetCompiler(ast.NewCompiler().WithCapabilities(p.capabilities).WithEnablePrintStatements(true)).
		SetModules(p.modules).
		CapturePrintOutput(true).
		EnableTracing(tracer == nil) // either, not both
	if tracer != nil {
		runner.SetCoverageQueryTracer(tracer)
	}
	done, err := runner.RunTests(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("compiling tests: %w", err)
	}
	var results []TestResult
	for r := range done {
		if t := regoResult(r); wanted.MatchString(t.Name) {
			results = append(results, t)
		}
	}
	return results, nil
}

func regoResult(r *tester.Result) TestResult {
	t := TestResult{
		Name:     strings.TrimPrefix(r.Package, "data.") + "." + r.Name,
		Passed:   r.Pass(),
		Skipped:  r.Skip,
		Output:   string(r.Output),
		Duration: r.Duration,
	}
	if r.Location != nil {
		t.File, t.Line = r.Location.File, r.Location.Row
	}
	switch {
	case r.Error != nil:
		t.Message = r.Error.Error()
	case r.Fail:
		t.Message = "the test does not hold"
		if at := failedAt(r); at != nil {
			t.Message = fmt.Sprintf("line %d does not hold: %s", at.Row, at.Text)
		}
	}
	return t
}

// failedAt returns the last line of a test's file that failed, nil if no trace
// was kept. What a line calls fails before the line itself does.
func failedAt(r *tester.Result) *ast.Location {
	for _, e := range slices.Backward(r.Trace) {
		if e.Op == topdown.FailOp && e.Location != nil && e.Location.File == r.Location.File {
			return e.Location
		}
	}
	return nil
}

// sampleTests checks the samples beside the rules of a plan.
func sampleTests(ctx context.Context, fsys fs.FS, p *plan, wanted *regexp.Regexp) []TestResult {
	byFolder := map[string][]entry{}
	var folders []string
	for _, en := range p.entries {
		folder := path.Dir(en.rule.File)
		if byFolder[folder] == nil {
			folders = append(folders, folder)
		}
		byFolder[folder] = append(byFolder[folder], en)
	}
	var results []TestResult
	for _, folder := range folders {
		for _, kind := range sampleKinds {
			file := path.Join(folder, "samples", kind+".yaml")
			if !wanted.MatchString(file) {
				continue
			}
			s, err := readSample(fsys, folder, kind)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			results = append(results, p.sample(ctx, file, s, err, byFolder[folder]))
		}
	}
	return results
}

// sample checks one sample, or says why it could not be read.
func (p *plan) sample(ctx context.Context, file string, s sample, unread error, entries []entry) TestResult {
	begin := time.Now()
	t := TestResult{Name: file, File: file}
	if unread != nil {
		t.Message = unread.Error()
		return t
	}
	found, err := p.checkSample(ctx, s, entries)
	if err != nil {
		t.Message = err.Error()
		return t
	}
	t.Duration = time.Since(begin)
	t.Message = judge(found, s.fails)
	t.Passed = t.Message == ""
	return t
}

// checkSample evaluates rules with the parameters of a sample.
func (p *plan) checkSample(ctx context.Context, s sample, entries []entry) (report.Report, error) {
	entries = slices.Clone(entries)
	for i, en := range entries {
		var err error
		if entries[i], err = en.with(s.parameters); err != nil {
			return nil, err
		}
	}
	return p.check(ctx, limits{DefaultTimeout, DefaultMemory}, s.objects, entries).Sorted(), nil
}

// judge says what is wrong with the findings in a sample; nothing if all is well.
func judge(found report.Report, fails bool) string {
	for _, f := range found {
		if !fails || f.Code == report.PolicyBroken || f.Code == report.PolicyTimeout {
			return fmt.Sprintf("%s: %s %s", f.Source, f.Code, f.Message)
		}
	}
	if fails && len(found) == 0 {
		return "the rule finds nothing in a sample that must fail"
	}
	return ""
}
