package cli

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// translation is a finished run with all that is said of it.
type translation struct {
	engine.Result
	set    *input.Set
	access string
	began  time.Time
	// said are the findings of reading, of the front ends and of the run.
	said   report.Report
	fields []report.Ref
	// asked counts the requests that were decided on the model and on an output,
	// differ those that were decided otherwise, and foretold those of them that a
	// table says.
	asked, differ, foretold int
}

func (a *app) translate(in inputFlags, to targetFlags) (translation, error) {
	if len(to.to) == 0 {
		return a.translateBound(in, to)
	}
	began := time.Now()
	targets, err := to.targets()
	if err != nil {
		return translation{}, err
	}
	waivers, err := to.waivers()
	if err != nil {
		return translation{}, err
	}
	set, store, found, err := in.load(a)
	if err != nil {
		return translation{}, err
	}
	res := engine.New(all.Pipeline(), targets, waivers).Run(store)
	return translation{res, set, in.access, began, append(found, res.Findings...).Sorted(), all.Fields(set), 0, 0, 0}, nil
}

// everything lists all findings, those of the back ends included.
func (t translation) everything() report.Report {
	out := slices.Clone(t.said)
	for _, o := range t.Outputs {
		out = append(out, o.Findings...)
	}
	return out.Sorted()
}

func (t translation) summary(o translators.Output) translators.Summary {
	return translators.Summarise(t.fields, append(slices.Clone(t.said), o.Findings...))
}

func translateCommand(a *app) *cobra.Command {
	var in inputFlags
	var to targetFlags
	var find findingFlags
	var out string
	var partial, verbose, checked bool
	c := &cobra.Command{
		Use:   "translate -f FILE [--to BACKEND[@VERSION],...]",
		Short: "Translate policies into the configuration of back ends",
		Long: `Translate reads policies and prints the configuration of each back end. Every
input field is accounted for; what a back end cannot keep is reported at the
line that asks for it. A run with a refusal ends with status 1; what it prints
still holds every deny, and nothing is written to --out without --partial.

What was made is read back by each mesh's own rules: requests of every kind
that the policy tells apart are decided on the policy and on the output, and a
difference that the back end's table does not explain is an error.

Without --to, MeshBindings in the input say what each namespace is translated to.`,
		Example: "  meshknot translate -f examples/bookstore --to envoy -o dir --out rendered/\n" +
			"  meshknot translate -f examples/strict --to istio@1.26 --access strict -o json",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := find.check(c); err != nil {
				return err
			}
			if (find.output == "dir") != (out != "") {
				return cannot("-o dir and --out DIR go together")
			}
			t, err := a.translate(in, to)
			if err != nil {
				return err
			}
			if checked {
				t.verify()
			}
			least := report.Warning
			if verbose {
				least = report.Info
			}
			if find.output != "json" {
				if err := a.show(t.set, t.everything(), find, least); err != nil {
					return err
				}
			}
			verdict := conclude(t.everything(), report.Severity(find.failOn))
			if err := a.emit(t, find.output, out, t.writable(verdict, partial)); err != nil {
				return err
			}
			return verdict
		},
	}
	in.register(c)
	to.register(c, false)
	find.register(c, "yaml", "json", "dir")
	c.Flags().StringVar(&out, "out", "", "directory for -o dir; replaced as a whole, and only if meshknot made it")
	c.Flags().BoolVar(&partial, "partial", false, "write what is expressible to --out even when something was refused, unless a whole output is withheld")
	c.Flags().BoolVar(&checked, "verify", true, "decide requests of every kind on the policy and on the output, and refuse what differs unexplained")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "show findings of severity info too")
	_ = c.MarkFlagDirname("out")
	return c
}

// emit prints or writes the artifacts and tells how it went.
func (a *app) emit(t translation, format, dir string, write bool) error {
	said := t.accounted()
	switch format {
	case "json":
		if err := a.emitJSON(t); err != nil {
			return err
		}
	case "yaml":
		for _, o := range t.Outputs {
			if err := sink.YAML(a.out, o.Artifacts); err != nil {
				return status{exitCannot, err}
			}
		}
	case "dir":
		if !write {
			said += fmt.Sprintf(" Nothing was written to %s: see the findings above.", dir)
			break
		}
		n, err := sink.Directory(dir, t.Outputs)
		if err != nil {
			return status{exitCannot, err}
		}
		said += fmt.Sprintf(" %s written to %s in %d ms.", counted(n, "file"), dir, time.Since(t.began).Milliseconds())
	}
	a.table(t)
	opened(a.err, t.access, t.Units)
	fmt.Fprint(a.err, t.verified())
	fmt.Fprintln(a.err, said)
	return nil
}

// writable reports whether the output may replace what a directory holds:
// nothing is missing, or what is missing was refused and the user knows. Output
// that is withheld never replaces any, for it would take away what denies.
func (t translation) writable(verdict error, partial bool) bool {
	var s status
	if !errors.As(verdict, &s) {
		return true
	}
	return partial && s.code == exitNo && !slices.ContainsFunc(t.Outputs, func(o translators.Output) bool { return o.Withheld })
}
