package cli

import (
	"slices"
	"time"

	"github.com/meshknot/meshknot/internal/binding"
	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// schemas are the kinds that the pipeline reads, and the MeshBindings that say what
// is made of them.
func schemas() []input.Schema { return append(all.Pipeline().Schemas(), binding.Schema()) }

// namespaces are those that objects say something of or are in, with their labels.
func namespaces(objects []input.Object) map[string]map[string]string {
	out := map[string]map[string]string{}
	for _, o := range objects {
		if o.Namespace != "" && out[o.Namespace] == nil {
			out[o.Namespace] = nil
		}
		if o.Group == "" && o.Kind == "Namespace" {
			out[o.Name] = o.Labels
		}
	}
	return out
}

// translateBound translates each namespace to what the MeshBindings of the input
// say of it.
func (a *app) translateBound(in inputFlags, to targetFlags) (translation, error) {
	began := time.Now()
	settings, err := in.settings()
	if err != nil {
		return translation{}, err
	}
	waivers, err := to.waivers()
	if err != nil {
		return translation{}, err
	}
	if len(to.withAuthorization()) > 0 {
		return translation{}, cannot("--option and --authorization go with --to; of a MeshBinding they are its spec.backend.options")
	}
	set, found := input.Read(in.files, input.Options{Schemas: schemas(), Stdin: a.in})
	bindings, objects, wrong := binding.Split(set.Objects, all.Pipeline())
	found = append(found, wrong...)
	set.Objects = objects
	if len(bindings) == 0 && !unread(found) {
		if err := a.show(set, found, findingFlags{color: "auto"}, report.Error); err != nil {
			return translation{}, err
		}
		return translation{}, cannot("--to names no back end, and no MeshBinding says what a namespace is translated to")
	}
	table := binding.Resolve(bindings, namespaces(slices.Concat(set.Objects, set.Rejected)), began)
	found = append(found, table.Found()...)
	res := bound(table, settings, waivers, input.NewStore(set, settings))
	said := append(found, res.Findings...).Sorted()
	return translation{res, set, modes(table, in.access), began, said, all.Fields(set), 0, 0, 0}, nil
}

// bound runs an engine that is bound as a table says.
func bound(table binding.Table, settings input.Settings, waivers []feature.Waiver, store *input.Store) engine.Result {
	bounds := slices.Clone(table.Bounds)
	for i := range bounds {
		bounds[i].Waivers = slices.Concat(bounds[i].Waivers, waivers)
	}
	e := engine.New(all.Pipeline(), nil, nil)
	store.Configure(settings, table.With(settings))
	e.Bind(settings, table.With(settings), bounds)
	return e.Run(store)
}

// modes names the access modes of what is bound, or the one of the run.
func modes(table binding.Table, run string) string {
	var out []string
	for _, n := range sortedKeys(table.Settings) {
		if mode := table.Settings[n].Access; !slices.Contains(out, mode) {
			out = append(out, mode)
		}
	}
	slices.Sort(out)
	switch len(out) {
	case 0:
		return run
	case 1:
		return out[0]
	}
	return "by namespace"
}

// backendName is how a user names what a target is translated to, whatever it is called.
func backendName(t translators.Target) string {
	t.Name = ""
	return name(t)
}
