package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshknot/meshknot/internal/binding"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// theCluster is what --against calls the API server.
const theCluster = "cluster"

// planFlags say what is planned.
type planFlags struct {
	files, bindings     []string
	against, kubeconfig string
	replace, complete   bool
	workloads           []string
	allow               []string
	view                viewFlags
}

func planCommand(a *app) *cobra.Command {
	var f planFlags
	c := &cobra.Command{
		Use:   "plan -f FILE --against cluster|DIR",
		Short: "Show what applying files would change, before anything does",
		Long: `Plan says what it would come to if files were applied on top of what is there:
the objects that each MeshBinding would create, change and delete; the requests
that would be decided or routed otherwise; the losses that would come and go; and
the workloads that would be open to everybody, or no longer.

What is there is a cluster, of which every policy, Service, account and workload
is read and nothing is written, or files. An object of the files takes the place
of the one of its name; with --replace the files are everything there will be.
Bindings are objects as others: a file that gives one another back end is how to
see a mesh exchanged for another.

Exit status 0 when nothing changes but what --allow names, 1 when something else
does, 2 when nothing can be said.`,
		Example: "  meshknot plan -f examples/bindings/linkerd.yaml --against examples/bookstore --binding examples/bindings/istio.yaml",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.plan(c.Context(), f) },
	}
	fl := c.Flags()
	fl.StringArrayVarP(&f.files, "filename", "f", nil, "what would be applied: file, directory, glob, kustomize directory, or - (repeatable)")
	fl.StringVar(&f.against, "against", theCluster, "what is there: cluster, or a file or directory")
	fl.StringVar(&f.kubeconfig, "kubeconfig", "", "how the cluster is reached (KUBECONFIG, else ~/.kube/config)")
	fl.StringArrayVar(&f.bindings, "binding", nil, "MeshBindings that are there too, or instead of those of their names (repeatable)")
	fl.BoolVar(&f.replace, "replace", false, "the files are everything: what they do not have is deleted, except bindings")
	fl.BoolVar(&f.complete, "complete", false, "everything was given: what is absent does not exist; of a cluster it holds anyway")
	fl.StringArrayVar(&f.workloads, "workload", nil, "NS/ACCOUNT=k=v,...: the labels of an account's pods (repeatable)")
	fl.StringSliceVar(&f.allow, "allow", nil, "changes that are fine: "+strings.Join(changeKinds, ", "))
	_ = c.MarkFlagRequired("filename")
	complete(c, "allow", changeKinds...)
	f.view.register(c, "text", "json")
	return c
}

// changeKinds are the kinds of changes that can be allowed.
var changeKinds = []string{"objects", "behaviour", "losses", "opens", "closes"}

func (f *planFlags) check() error {
	for _, one := range f.allow {
		if !slices.Contains(changeKinds, one) {
			return cannot("--allow %q: want %s", one, strings.Join(changeKinds, ", "))
		}
	}
	if f.kubeconfig != "" && f.against != theCluster {
		return cannot("--kubeconfig goes with --against cluster")
	}
	return f.view.check()
}

func (a *app) plan(ctx context.Context, f planFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	before, after, err := a.planned(ctx, f)
	if err != nil {
		return err
	}
	p, err := planOf(before, after)
	if err != nil {
		return status{exitCannot, err}
	}
	if f.view.output == "json" {
		err = report.WriteJSON(a.out, p.json())
	} else {
		err = p.show(func(set *input.Set) *screen { return a.screen(set, f.view) })
	}
	if err == nil && p.changes(f.allow) {
		return status{code: exitNo}
	}
	return err
}

// planned returns what is there, and what there would be.
func (a *app) planned(ctx context.Context, f planFlags) (before, after *planState, err error) {
	flags := inputFlags{access: "selected", dialect: "spec", complete: f.complete || f.against == theCluster, workloads: f.workloads}
	settings, err := flags.settings()
	if err != nil {
		return nil, nil, err
	}
	var there given
	if f.against == theCluster {
		ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
		defer cancel()
		there, err = a.readCluster(ctx, f.kubeconfig)
	} else {
		there, err = a.given([]string{f.against}, f.view)
	}
	if err != nil {
		return nil, nil, err
	}
	if len(f.bindings) > 0 {
		more, err := a.given(f.bindings, f.view)
		if err != nil {
			return nil, nil, err
		}
		there.objects = onTop(there.objects, more.objects)
	}
	files, err := a.given(f.files, f.view)
	if err != nil {
		return nil, nil, err
	}
	next := files
	if f.replace {
		next.objects = onTop(bindingsOf(there.objects), next.objects)
	} else {
		next.objects = onTop(there.objects, next.objects)
	}
	now := time.Now()
	before, after = newPlanState(there, settings, now), newPlanState(next, settings, now)
	after.also = there.set
	if len(before.bindings)+len(after.bindings) == 0 {
		return nil, nil, cannot("no MeshBinding says what mesh serves which namespaces: give one with -f or --binding")
	}
	return before, after, a.show(after.set, after.table.Found(), f.view.findings(), report.Warning)
}

// given is an input and where it stands.
type given struct {
	set     *input.Set
	objects []input.Object
}

// given reads files. What cannot be read may be what decides, and a binding in
// error is one that is not planned with.
func (a *app) given(files []string, view viewFlags) (given, error) {
	set, found := input.Read(files, input.Options{Schemas: schemas(), Stdin: a.in})
	objects := slices.Concat(set.Objects, set.Rejected)
	_, _, wrong := binding.Split(objects, all.Pipeline())
	found = append(found, wrong...)
	if err := a.show(set, found, view.findings(), report.Warning); err != nil {
		return given{}, err
	}
	if unread(found) || slices.ContainsFunc(found, func(f report.Finding) bool {
		return f.Severity == report.Error && isBinding(f.Source.Group, f.Source.Kind)
	}) {
		return given{}, status{code: exitCannot}
	}
	return given{set, objects}, nil
}

// onTop puts objects in the place of those of their IDs.
func onTop(there, files []input.Object) []input.Object {
	replaced := map[input.ID]bool{}
	for _, o := range files {
		replaced[o.ID] = true
	}
	var out []input.Object
	for _, o := range there {
		if !replaced[o.ID] {
			out = append(out, o)
		}
	}
	return append(out, files...)
}

// bindingsOf returns the MeshBindings: they say what is done with the files, and
// are replaced by name alone.
func bindingsOf(objects []input.Object) []input.Object {
	return slices.DeleteFunc(slices.Clone(objects), func(o input.Object) bool { return !isBinding(o.Group, o.Kind) })
}
