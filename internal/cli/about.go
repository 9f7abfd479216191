package cli

import (
	"fmt"
	"runtime"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/report"
)

func versionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  meshknot version",
		Args:    cobra.NoArgs,
		Run: func(*cobra.Command, []string) {
			fmt.Fprintf(a.out, "meshknot %s %s %s/%s\n", Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
}

func codeCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "code [MKnnnn]",
		Short:   "Explain a finding's code, or list them all",
		Example: "  meshknot code MK2009",
		Args:    cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var out []string
			for _, r := range report.Codes() {
				out = append(out, string(r.Code)+"\t"+r.Title)
			}
			return out, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
				for _, r := range report.Codes() {
					fmt.Fprintf(w, "%s\t%s\t%s\n", r.Code, r.Severity, r.Title)
				}
				return w.Flush()
			}
			for _, r := range report.Codes() {
				if string(r.Code) == strings.ToUpper(args[0]) {
					fmt.Fprintf(a.out, "%s (%s): %s\n\n%s\n", r.Code, r.Severity, r.Title, r.Explain)
					if r.Hint != "" {
						fmt.Fprintf(a.out, "\nhint: %s\n", r.Hint)
					}
					return nil
				}
			}
			return cannot("no code %q: meshknot code lists them", args[0])
		},
	}
}

func backendsCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "backends",
		Short: "Say what each back end can keep",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return cannot("want ls or show NAME") },
	}
	c.AddCommand(&cobra.Command{
		Use:     "ls",
		Short:   "List the back ends and their versions",
		Example: "  meshknot backends ls",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
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
				fmt.Fprintf(w, "%s\t%s\t%d\t%d\n", b.Name(), strings.Join(b.Versions(), ", "), exact, other)
			}
			return w.Flush()
		},
	}, &cobra.Command{
		Use:     "show NAME[@VERSION]",
		Short:   "Print the support table of a back end",
		Example: "  meshknot backends show istio",
		Args:    cobra.ExactArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return a.showBackend(args[0]) },
	})
	return c
}

func (a *app) showBackend(name string) error {
	targets, err := (&targetFlags{to: []string{name}}).targets()
	if err != nil {
		return err
	}
	b, _ := all.Pipeline().Backend(targets[0].Backend)
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FEATURE\tWHEN\tCLASS\tPROVED BY\tNOTE")
	for _, r := range b.Supports(targets[0]) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.Feature, when(r), r.Class, r.Case, r.Note)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return nil
}

func when(r feature.Row) string {
	if len(r.When) == 0 {
		return "always"
	}
	var out []string
	for _, c := range r.When {
		out = append(out, string(c))
	}
	return strings.Join(out, " and ")
}
