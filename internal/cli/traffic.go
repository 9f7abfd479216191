package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshknot/meshknot/internal/ask"
	"github.com/meshknot/meshknot/policies"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

func testCommand(a *app) *cobra.Command {
	var view viewFlags
	var run string
	var verbose, cover bool
	c := &cobra.Command{
		Use:   "test DIR|FILE...",
		Short: "Run tests of what policies mean, and Rego tests",
		Long: `Test runs the tests in files named *_traffic.yaml, and in directories with Rego
the tests of the rules too, as "policy test" does. A document says which manifests
it is about, and what is to become of requests:

  apiVersion: meshknot.io/v1alpha1
  kind: TrafficTest
  metadata: {name: shop}
  spec:
    files: ["*.yaml"]          # relative to this file; default: its directory
    access: selected           # selected, strict or off
    dialect: spec              # spec, osm or traefik
    backends: [envoy]          # decide here too, beside the model
    tests:
    - name: web may read
      from: sa:shop/web        # or spiffe:URI, external
      to: svc:shop/reviews:80  # or pod:NS/ACCOUNT:PORT, gw:NS/NAME:PORT
      request: {method: GET, path: /reviews, headers: {x-beta: "yes"}}  # none: a connection
      expect:                  # what is not said does not matter
        decision: allow        # allow, deny, mixed or answer
        backends: {shop/reviews-v1: 90, shop/reviews-v2: 10}  # all of them, in percent
        status: 302            # that the proxy answers with
        location: https://shop.example/reviews
        route: reviews         # not known to back ends

Exit status 0 when every test passed, 1 when one failed or none was run, 2 when
one cannot be decided.`,
		Example: "  meshknot test examples/bookstore --cover\n" +
			"  meshknot test examples --run web -v",
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := view.check(); err != nil {
				return err
			}
			wanted, err := regexp.Compile(run)
			if err != nil {
				return cannot("--run: %w", err)
			}
			t := traffic{app: a, view: view, verbose: verbose, cover: cover}
			t.runs.Program, t.runs.Target, t.runs.Wanted = program(), namedTarget, wanted
			if err := t.all(c.Context(), args, run); err != nil {
				return err
			}
			return t.show()
		},
	}
	view.register(c, "text", "json", "junit")
	c.Flags().StringVar(&run, "run", "", "only tests whose name (document/test, or document/test@backend) matches this expression")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "show tests that pass too")
	c.Flags().BoolVar(&cover, "cover", false, "show the rules that no test decides by")
	return c
}

// namedTarget finds the back end that a document names.
func namedTarget(name string) (translators.Target, error) {
	f := targetFlags{to: []string{name}, trustDomain: "cluster.local"}
	if name == "all" {
		return translators.Target{}, errors.New("back ends are named one by one")
	}
	targets, err := f.targets()
	if err != nil {
		return translators.Target{}, err
	}
	return targets[0], nil
}

// traffic is a run of tests.
type traffic struct {
	app            *app
	view           viewFlags
	verbose, cover bool
	runs           ask.TrafficRun
	files          []trafficFile
	// unreadable: a file of tests is in error.
	unreadable bool
}

// trafficFile is how the tests of a file went, or those of a directory's Rego.
type trafficFile struct {
	name    string
	set     *input.Set
	traffic []ask.TrafficResult
	rego    []policies.TestResult
	// broken: the file is in error, so that tests may be missing.
	broken bool
}

// all runs what the paths name.
func (t *traffic) all(ctx context.Context, paths []string, run string) error {
	found := false
	ran := map[string]bool{} // a path may be in another one
	for _, p := range paths {
		files, rego, err := testFiles(p)
		if err != nil {
			return status{exitCannot, err}
		}
		for _, f := range files {
			found = true
			if ran[filepath.Clean(f)] {
				continue
			}
			ran[filepath.Clean(f)] = true
			if err := t.file(f); err != nil {
				return err
			}
		}
		if rego {
			found = true
			results, err := policies.Test(ctx, os.DirFS(p), run)
			if err != nil {
				return status{exitCannot, err}
			}
			t.files = append(t.files, trafficFile{name: filepath.ToSlash(filepath.Clean(p)) + " (Rego)", rego: results})
		}
	}
	if !found {
		return cannot("%s: no *_traffic.yaml and no Rego", strings.Join(paths, ", "))
	}
	return nil
}

func (t *traffic) file(name string) error {
	tests, set, found := ask.ReadTraffic(name)
	if err := t.app.show(set, found, t.view.findings(), report.Warning); err != nil {
		return err
	}
	f := trafficFile{name: filepath.ToSlash(filepath.Clean(name)), set: set, broken: found.Worst(report.Error) > 0}
	t.unreadable = t.unreadable || f.broken
	for _, one := range tests {
		f.traffic = append(f.traffic, t.runs.Run(one)...)
	}
	t.files = append(t.files, f)
	return nil
}

// testFiles lists the traffic tests that a path names, and whether it is a
// directory with Rego in it.
func testFiles(p string) (files []string, rego bool, err error) {
	info, err := os.Stat(p)
	if err != nil || !info.IsDir() {
		return []string{p}, false, err
	}
	err = filepath.WalkDir(p, func(f string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && f != p && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case strings.HasSuffix(f, "_traffic.yaml"), strings.HasSuffix(f, "_traffic.yml"):
			files = append(files, f)
		}
		rego = rego || filepath.Ext(f) == ".rego"
		return nil
	})
	slices.Sort(files)
	return files, rego, err
}
