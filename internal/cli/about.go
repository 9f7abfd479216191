package cli

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/meshknot/meshknot/policies"
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

func completionCommand(a *app) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:       "completion SHELL",
		Short:     "Print the completion script of a shell: " + strings.Join(shells, ", "),
		Example:   "  meshknot completion bash",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: shells,
		RunE: func(c *cobra.Command, args []string) error {
			switch args[0] {
			case "bash":
				return c.Root().GenBashCompletionV2(a.out, true)
			case "zsh":
				return c.Root().GenZshCompletion(a.out)
			case "fish":
				return c.Root().GenFishCompletion(a.out, true)
			}
			return c.Root().GenPowerShellCompletionWithDesc(a.out)
		},
	}
}

func codeCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "code [CODE]",
		Short:   "Explain a finding's code, or list them all",
		Example: "  meshknot code MK2009\n  meshknot code",
		Args:    cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var out []string
			for _, r := range codes() {
				out = append(out, string(r.Code)+"\t"+r.Title)
			}
			return out, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.listCodes()
			}
			return a.explainCode(report.Code(strings.ToUpper(args[0])))
		},
	}
}

// codes lists every code: those of the table and those of the shipped rules.
func codes() []report.Row {
	return slices.Concat(report.Codes(), ruleCodes())
}

// ruleCodes lists the codes of the shipped rules as rows of the code table.
func ruleCodes() []report.Row {
	var out []report.Row
	for _, r := range policies.New(policies.Shipped()...).Rules() {
		out = append(out, report.Row{Code: r.Code, Severity: r.Severity, Title: r.Title, Explain: r.Description, Hint: r.Hint})
	}
	slices.SortFunc(out, func(a, b report.Row) int { return strings.Compare(string(a.Code), string(b.Code)) })
	return out
}

func (a *app) listCodes() error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, r := range codes() {
		fmt.Fprintf(w, "%s\t%s\t%s\n", r.Code, r.Severity, r.Title)
	}
	return w.Flush()
}

func (a *app) explainCode(code report.Code) error {
	is := func(r report.Row) bool { return r.Code == code }
	rows := report.Codes()
	i := slices.IndexFunc(rows, is)
	if i < 0 {
		rows = ruleCodes() // later, for the rules have to be compiled
		i = slices.IndexFunc(rows, is)
	}
	if i < 0 {
		return cannot("no code %q: meshknot code lists them", code)
	}
	r := rows[i]
	fmt.Fprintf(a.out, "%s (%s): %s\n\n%s\n", r.Code, r.Severity, r.Title, r.Explain)
	if r.Hint != "" {
		fmt.Fprintf(a.out, "\nhint: %s\n", r.Hint)
	}
	return nil
}
