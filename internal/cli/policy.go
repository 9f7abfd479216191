package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/meshknot/meshknot/policies"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// policyFlags say which rules are run, and with which parameters.
type policyFlags struct {
	sources     []string
	shipped     bool
	parameters  []string
	key         string
	minRevision string
}

func (f *policyFlags) register(c *cobra.Command) {
	fl := c.Flags()
	fl.StringArrayVar(&f.sources, "policy", nil, "directory or bundle of Rego rules to run beside the shipped ones (repeatable)")
	fl.BoolVar(&f.shipped, "shipped-policies", true, "run the rules that meshknot ships")
	fl.StringArrayVar(&f.parameters, "param", nil, "RULE.KEY=VALUE: a parameter of a rule, such as weight-jump.points=10 (repeatable)")
	fl.StringVar(&f.key, "policy-key", "", "public key in PEM that must have signed every --policy")
	fl.StringVar(&f.minRevision, "policy-min-revision", "", "oldest revision of a --policy bundle that is used")
}

// engine loads the rules.
func (f *policyFlags) engine() (*policies.Engine, error) {
	trust, err := f.trust()
	if err != nil {
		return nil, err
	}
	var modules []policies.Module
	if f.shipped {
		modules = policies.Shipped()
	}
	for _, source := range f.sources {
		more, err := loadRules(source, trust)
		if err != nil {
			return nil, err
		}
		modules = append(modules, more...)
	}
	engine := policies.New(modules...)
	if err := engine.Set(f.parameters...); err != nil {
		return nil, cannot("--param: %w", err)
	}
	return engine, nil
}

func (f *policyFlags) trust() (policies.Trust, error) {
	t := policies.Trust{MinRevision: f.minRevision}
	switch {
	case f.key == "" && f.minRevision != "":
		return t, cannot("--policy-min-revision without --policy-key: anybody can write a revision into a bundle that is not signed")
	case f.key == "":
		return t, nil
	case len(f.sources) == 0:
		return t, cannot("--policy-key without --policy: there is nothing to verify")
	}
	var err error
	t.Key, err = readPublicKey(f.key)
	return t, err
}

// loadRules reads a directory or a bundle.
func loadRules(source string, trust policies.Trust) ([]policies.Module, error) {
	info, err := os.Stat(source)
	if err != nil {
		return nil, status{exitCannot, err}
	}
	if info.IsDir() {
		if trust.Key != nil {
			return nil, cannot("%s is a directory, which nobody can have signed: --policy-key wants bundles", source)
		}
		modules, err := policies.Load(os.DirFS(source), source)
		if err != nil {
			return nil, status{exitCannot, err}
		}
		return modules, nil
	}
	bundle, err := readBundle(source, trust)
	if err != nil {
		return nil, cannot("%s: %s: %w", source, report.BundleRefused, err)
	}
	return bundle.Modules, nil
}

// readBundle reads a bundle from a file, no more of it than a bundle may have.
func readBundle(file string, trust policies.Trust) (policies.Bundle, error) {
	packed, err := readLimited(file, policies.MaxBundleBytes)
	if err != nil {
		return policies.Bundle{}, err
	}
	return policies.ReadBundle(file, packed, trust)
}

// readLimited reads a file of which more than limit bytes are of no use, and
// one byte more where it has them.
func readLimited(file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// checkPolicies runs the Rego rules over every object that could be read,
// rejected ones and those of kinds that nothing is translated from included.
// Where there is a previous set, objects are told what they take the place of.
func checkPolicies(ctx context.Context, set, previous *input.Set, rules policyFlags) (report.Report, error) {
	engine, err := rules.engine()
	if err != nil {
		return nil, err
	}
	objects, err := documents(set)
	if err != nil {
		return nil, err
	}
	if previous != nil {
		before, err := documents(previous)
		if err != nil {
			return nil, err
		}
		policies.Replace(objects, before)
	}
	return engine.Check(ctx, objects), nil
}

// documents returns the objects of a set as they were written, each ID once.
func documents(set *input.Set) ([]policies.Object, error) {
	var objects []policies.Object
	seen := map[input.ID]bool{}
	for _, o := range slices.Concat(set.Objects, set.Rejected, set.Others) {
		text := set.JSON(o.ID)
		if seen[o.ID] || text == nil {
			continue
		}
		seen[o.ID] = true
		var value map[string]any
		if err := json.Unmarshal(text, &value); err != nil {
			return nil, status{exitCannot, fmt.Errorf("%s: %w", o.Ref(""), err)}
		}
		// An item of a typed list leaves them to the list.
		version := o.Version
		if o.Group != "" {
			version = o.Group + "/" + version
		}
		for key, said := range map[string]string{"apiVersion": version, "kind": o.Kind} {
			if value[key] == nil {
				value[key] = said
			}
		}
		objects = append(objects, policies.Object{Ref: o.Ref(""), Value: value})
	}
	return objects, nil
}

func policyCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "List, run, test, bundle and export Rego rules",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return cannot("want ls, eval, test, bundle or export") },
	}
	c.AddCommand(policyList(a), policyEval(a), policyTest(a), policyBundle(a), policyExport(a))
	return c
}

func policyList(a *app) *cobra.Command {
	var rules policyFlags
	var parameters bool
	c := &cobra.Command{
		Use:     "ls",
		Short:   "List the rules",
		Example: "  meshknot policy ls\n  meshknot policy ls --parameters",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			engine, err := rules.engine()
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			if parameters {
				listParameters(w, engine.Rules())
			} else {
				listRules(w, engine.Rules())
			}
			if err := w.Flush(); err != nil {
				return err
			}
			return a.problems(engine.Problems())
		},
	}
	rules.register(c)
	c.Flags().BoolVar(&parameters, "parameters", false, "list the parameters that rules have, for --param")
	return c
}

func listRules(w io.Writer, rules []policies.Rule) {
	fmt.Fprintln(w, "CODE\tSEVERITY\tRULE\tTITLE")
	for _, r := range rules {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Code, r.Severity, r.Package, r.Title)
	}
}

func listParameters(w io.Writer, rules []policies.Rule) {
	fmt.Fprintln(w, "PARAMETER\tTYPE\tDEFAULT\tMEANING")
	for _, r := range rules {
		for _, p := range r.Parameters {
			fmt.Fprintf(w, "%s.%s\t%s\t%v\t%s\n", r.Name, p.Name, p.Type, p.Default, p.Description)
		}
	}
}

// problems shows what is wrong with rules.
func (a *app) problems(found report.Report) error {
	if err := a.render(a.err, "text", nil, found, false); err != nil {
		return err
	}
	return conclude(found, report.Error)
}

func policyEval(a *app) *cobra.Command {
	var in inputFlags
	var find findingFlags
	var rules policyFlags
	var previous []string
	c := &cobra.Command{
		Use:     "eval -f FILE",
		Short:   "Run the rules on objects, and nothing else",
		Example: "  meshknot policy eval -f examples/bookstore\n  meshknot policy eval -f examples/bookstore --previous examples/bookstore --param weight-jump.points=10",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := find.check(c); err != nil {
				return err
			}
			set, _, found, err := in.load(a)
			if err != nil {
				return err
			}
			before, err := a.before(previous)
			if err != nil {
				return err
			}
			violations, err := checkPolicies(c.Context(), set, before, rules)
			if err != nil {
				return err
			}
			found = append(forRules(set, found), violations...).Sorted()
			if err := a.render(a.out, find.output, set, found, find.colored(a.out)); err != nil {
				return err
			}
			fmt.Fprintln(a.err, tallied(len(set.Objects)+len(set.Rejected)+len(set.Others), found))
			return conclude(found, report.Severity(find.failOn))
		},
	}
	in.register(c)
	find.register(c, findingFormats...)
	rules.register(c)
	c.Flags().StringArrayVar(&previous, "previous", nil, "what was there before, in the forms of --filename, for rules that compare (repeatable)")
	return c
}

// before reads what was there before; nil where nothing is said about that.
func (a *app) before(paths []string) (*input.Set, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	set, found := input.Read(paths, input.Options{Schemas: all.Pipeline().Schemas(), Stdin: a.in})
	if len(set.Others) > 0 {
		found = forRules(set, found)
	}
	if !unread(found) {
		return set, nil
	}
	if err := a.render(a.err, "text", set, found, false); err != nil {
		return nil, err
	}
	return nil, cannot("--previous: not everything could be read, so nothing can be compared")
}

// forRules leaves out what is no finding where rules are all that reads the
// objects: they read kinds that nothing is translated from.
func forRules(set *input.Set, found report.Report) report.Report {
	return slices.DeleteFunc(found, func(f report.Finding) bool {
		return f.Code == report.IgnoredKind || f.Code == report.NothingRead && len(set.Others) > 0
	})
}
