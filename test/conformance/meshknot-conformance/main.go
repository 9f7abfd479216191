// Command meshknot-conformance plays the SMI conformance suite of
// test/conformance/smi on a real data plane.
//
//	meshknot-conformance [-plane envoy|consul|grpc] [-step REGEXP] [-json FILE] [-o columns|markdown]
//	meshknot-conformance -o markdown REPORT.json...
//
// With reports it plays nothing and prints those. It exits with 0 where all
// passes or does not apply, with 1 where a step failed, with 2 where one could
// not run.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/meshknot/meshknot/test/conformance/smi"
)

func main() {
	plane := flag.String("plane", "envoy", "the data plane: "+strings.Join(smi.Planes(), ", "))
	steps := flag.String("step", "", "play only the steps whose ids match")
	file := flag.String("json", "", "write the report to this file, as JSON")
	form := flag.String("o", "columns", "how to print it: columns or markdown")
	flag.Parse()
	reports, err := reports(*plane, *steps, flag.Args())
	if err == nil {
		err = write(reports, *file, *form)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "meshknot-conformance:", err)
		os.Exit(2)
	}
	os.Exit(status(reports))
}

// reports reads reports or, where no files are named, makes one.
func reports(plane, pattern string, names []string) ([]smi.Report, error) {
	var out []smi.Report
	for _, n := range names {
		text, err := os.ReadFile(n)
		if err != nil {
			return nil, err
		}
		r, err := smi.Read(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n, err)
		}
		out = append(out, r)
	}
	if len(names) > 0 {
		return out, nil
	}
	only, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	steps := slices.DeleteFunc(smi.Steps(), func(s smi.Step) bool { return !only.MatchString(s.ID) })
	r, err := play(plane, steps)
	return []smi.Report{r}, err
}

// play plays steps on a plane, and ends it also where it is interrupted.
func play(plane string, steps []smi.Step) (smi.Report, error) {
	p, err := smi.Open(plane)
	if err != nil {
		return smi.Report{}, err
	}
	defer p.Close()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(stop)
	done := make(chan smi.Report, 1)
	go func() {
		results := smi.Run(p, steps, func(r smi.Result) { fmt.Fprintf(os.Stderr, "%s: %s\n", r.ID, r.Verdict) })
		done <- smi.Report{Plane: p.Name(), Programs: p.Programs(), Results: results}
	}()
	select {
	case r := <-done:
		return r, nil
	case <-stop:
		return smi.Report{}, errors.New("interrupted")
	}
}

func write(reports []smi.Report, file, form string) error {
	if file != "" {
		text, err := reports[0].JSON()
		if err == nil {
			err = os.WriteFile(file, text, 0o600)
		}
		if err != nil {
			return err
		}
	}
	switch form {
	case "markdown":
		return smi.Markdown(os.Stdout, reports)
	case "columns":
		for _, r := range reports {
			if err := r.Columns(os.Stdout); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("-o %s: there is columns and markdown", form)
}

func status(reports []smi.Report) int {
	code := 0
	for _, r := range reports {
		switch {
		case r.Count(smi.Broken) > 0:
			return 2
		case r.Count(smi.Fail) > 0:
			code = 1
		}
	}
	return code
}
