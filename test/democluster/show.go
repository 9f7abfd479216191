package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/meshknot/meshknot/test/conformance/smi"
	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/test/lab"
)

// show is a demonstration under way.
type show struct {
	w          io.Writer
	lab        *lab.Lab
	cluster    *cluster.Cluster
	shop       *cluster.Shop
	controller *cluster.Controller
	web        *cluster.Caller
	failed     bool
}

// step is a part of it. It returns what there is to be shown: a word for the step's
// line, and lines below it.
type step struct {
	title string
	do    func() (word string, below []string, err error)
}

// run does one step after the other, up to one that fails, or until ctx ends.
func (s *show) run(ctx context.Context) {
	fmt.Fprint(s.w, "meshknot in a cluster: real programs, all of them on this machine\n\n")
	for i, st := range s.steps() {
		began := time.Now()
		fmt.Fprintf(s.w, "%2d. %s", i+1, st.title)
		word, below, err := st.do()
		switch {
		case ctx.Err() != nil: // it failed because everything is stopped
			return
		case err != nil:
			s.failed = true
			fmt.Fprintf(s.w, "  FAILED\n    %s\n", strings.ReplaceAll(err.Error(), "\n", "\n    "))
			if s.controller != nil {
				fmt.Fprintf(s.w, "The controller said last:\n%s\n", s.controller.Said(10))
			}
			return
		}
		fmt.Fprintf(s.w, ": %s (%.1f s)\n", word, time.Since(began).Seconds())
		for _, line := range below {
			fmt.Fprintln(s.w, "      "+line)
		}
	}
}

func (s *show) steps() []step {
	return []step{
		{"API server, with the definitions of SMI, meshknot, Gateway API and Istio", s.start},
		{"controller, with webhook and xDS", s.control},
		{"examples/bookstore, and a MeshBinding of its namespace to Envoy", s.bind},
		{"two Envoys connect", s.connect},
		{"1,000 calls of reviews by web", func() (string, []string, error) { return s.observe(90, 10) }},
		{"the split is applied with 50/50", func() (string, []string, error) { return s.shift(50, 50) }},
		{"the split is applied with 0/100", func() (string, []string, error) { return s.shift(0, 100) }},
		{"calls that nobody granted", s.forbidden},
		{"a split to a Service that is not there is applied", s.denied},
		{"the split is applied with 7/10, as a dry run", s.warned},
		{"meshknot plan -f istio.yaml --against cluster", s.plan},
		{"the MeshBinding is applied with Istio", s.exchange},
		{"kubectl get translationreports -n shop", s.reports},
		{"the Envoys, whom nobody is to serve any more", s.pruned},
		{"the MeshBinding is deleted", s.unbind},
	}
}

// differs is what was expected beside what was observed.
type differs struct{ expected, observed string }

func (d differs) Error() string {
	return "expected  " + d.expected + "\nobserved  " + d.observed
}

// beside renders what agrees.
func beside(expected, observed string) []string {
	return []string{"expected  " + expected, "observed  " + observed}
}

// observe makes a thousand calls and holds them against weights.
func (s *show) observe(v1, v2 int) (word string, below []string, err error) {
	const n, alpha = 1000, 1e-6
	got, err := s.web.Count(n)
	if err != nil {
		return "", nil, err
	}
	expected := fmt.Sprintf("v1 %3d %%, v2 %3d %%", v1, v2)
	k1, k2 := got[cluster.Versions[0]], got[cluster.Versions[1]]
	observed := fmt.Sprintf("v1 %5.1f, v2 %5.1f", float64(k1)*100/n, float64(k2)*100/n)
	low, high := smi.Bounds(n, float64(v2)/float64(v1+v2), alpha)
	if k1+k2 != n || k2 < low || k2 > high {
		return "", nil, differs{expected, fmt.Sprint(got)}
	}
	return "ok", beside(expected, observed), nil
}
