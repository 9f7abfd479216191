package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/report"
)

func backendsCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "backends",
		Short: "Say what each back end can keep",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return cannot("want ls, show NAME or matrix") },
	}
	c.AddCommand(&cobra.Command{
		Use:     "ls",
		Short:   "List the back ends and their versions",
		Example: "  meshknot backends ls",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return a.listBackends() },
	}, &cobra.Command{
		Use:     "show NAME[@VERSION]",
		Short:   "Print the support table of a back end",
		Example: "  meshknot backends show istio@1.26",
		Args:    cobra.ExactArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return a.showBackend(args[0]) },
	}, &cobra.Command{
		Use:     "matrix",
		Short:   "Print what every back end makes of every feature, as Markdown",
		Example: "  meshknot backends matrix",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(a.out, capabilities(all.Pipeline().Backends))
			return err
		},
	})
	return c
}

func (a *app) listBackends() error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "BACKEND\tVERSIONS\tEXACT\tOTHER")
	for _, b := range all.Pipeline().Backends {
		exact, other := 0, 0
		for _, r := range b.Supports(translators.Target{Backend: b.Name()}) {
			if r.Class == report.Exact {
				exact++
			} else {
				other++
			}
		}
		versions := strings.Join(b.Versions(), ", ")
		if versions == "" {
			versions = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\n", b.Name(), versions, exact, other)
	}
	return w.Flush()
}

func (a *app) showBackend(name string) error {
	targets, err := (&targetFlags{to: []string{name}}).targets()
	if err != nil {
		return err
	}
	if len(targets) != 1 {
		return cannot("want one back end")
	}
	b, _ := all.Pipeline().Backend(targets[0].Backend)
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FEATURE\tWHEN\tCLASS\tPROVED BY\tNOTE")
	for _, r := range b.Supports(targets[0]) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.Feature, when(r.When), r.Class, r.Case, r.Note)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, o := range options(b) {
		fmt.Fprintf(a.out, "\n--option %s.%s\n    %s\n", b.Name(), o.Form, o.Help)
	}
	return nil
}

func options(b translators.Backend) []translators.Option {
	if c, ok := b.(translators.Configurable); ok {
		return c.Options()
	}
	return nil
}

// when says under which conditions a row holds.
func when(conditions []feature.Condition) string {
	if len(conditions) == 0 {
		return "always"
	}
	var out []string
	for _, c := range conditions {
		out = append(out, string(c))
	}
	return strings.Join(out, " and ")
}
