package cli

import (
	"fmt"
	"slices"
	"text/tabwriter"

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
	// said are the findings of reading, of the front ends and of the run.
	said   report.Report
	fields []report.Ref
}

func (a *app) translate(in inputFlags, to targetFlags) (translation, error) {
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
	return translation{res, set, in.access, append(found, res.Findings...).Sorted(), all.Fields(set)}, nil
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
	var partial, verbose bool
	c := &cobra.Command{
		Use:   "translate -f FILE --to BACKEND[@VERSION],...",
		Short: "Translate policies into the configuration of back ends",
		Long: `Translate reads policies and prints the configuration of each back end. Every
input field is accounted for; what a back end cannot keep is reported at the
line that asks for it. A run with a refusal ends with status 1; what it prints
still holds every deny, and nothing is written to --out without --partial.`,
		Example: "  meshknot translate -f examples/bookstore --to envoy,istio -o dir --out rendered/",
		Args:    cobra.NoArgs,
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
			if err := a.emit(t, find.output, out, partial || verdict == nil); err != nil {
				return err
			}
			return verdict
		},
	}
	in.register(c)
	to.register(c, true)
	find.register(c, "yaml", "json", "dir")
	c.Flags().StringVar(&out, "out", "", "directory for -o dir; replaced as a whole, and only if meshknot made it")
	c.Flags().BoolVar(&partial, "partial", false, "write what is expressible to --out even when something was refused")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "show findings of severity info too")
	_ = c.MarkFlagDirname("out")
	return c
}

// emit prints or writes the artifacts.
func (a *app) emit(t translation, format, dir string, write bool) error {
	switch format {
	case "json":
		return a.emitJSON(t)
	case "yaml":
		for _, o := range t.Outputs {
			if err := sink.YAML(a.out, o.Artifacts); err != nil {
				return status{exitCannot, err}
			}
		}
		return nil
	}
	a.table(t)
	if !write {
		fmt.Fprintf(a.err, "Nothing was written to %s: see the findings above, or use --partial.\n", dir)
		return nil
	}
	n, err := sink.Directory(dir, t.Outputs)
	if err != nil {
		return status{exitCannot, err}
	}
	fmt.Fprintf(a.err, "%d files written to %s.\n", n, dir)
	return nil
}

// table prints how each back end fares with the input's fields.
func (a *app) table(t translation) {
	w := tabwriter.NewWriter(a.err, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "BACKEND\tOBJECTS\tEXACT\tRELOCATED\tAPPROX\tNARROWED\tDROPPED\tWIDENED\t\n")
	for _, o := range t.Outputs {
		fmt.Fprintf(w, "%s\t%d\t", name(o.Target), len(o.Artifacts))
		s := t.summary(o)
		for _, class := range report.Classes() {
			fmt.Fprintf(w, "%d\t", s.Classes[class])
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush()
	fmt.Fprintf(a.err, "%d input fields, all accounted for. Access: %s.\n", len(t.fields), t.access)
}

func name(t translators.Target) string {
	if t.Version != "" {
		return t.Backend + "@" + t.Version
	}
	return t.Backend
}
