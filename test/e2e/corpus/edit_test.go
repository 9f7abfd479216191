package corpus_test

import (
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/test/lab"
)

const (
	splitVersion  = "split.smi-spec.io/v1alpha4"
	targetVersion = "access.smi-spec.io/v1alpha3"
	shopNamespace = "bookstore"
	shopSplit     = "bookstore-split"
)

// edited edits, renames and deletes sources: what is left of them is nothing.
func (w *world) edited() {
	w.t.Helper()
	split := cluster.Object(splitVersion, "TrafficSplit", shopNamespace, shopSplit)
	before := w.exact("before edits")
	if _, err := w.Patch(split, []any{lab.Object{"op": "replace", "path": "/spec/backends/0/weight", "value": 17}}); err != nil {
		w.t.Fatal(err)
	}
	after := w.exact("after an edit")
	if cmp.Equal(before, after) {
		w.t.Error("the edit changed nothing that is written")
	}
	w.reported(after)

	targets, err := w.List(targetVersion, "TrafficTarget", shopNamespace)
	if err != nil || len(targets) == 0 {
		w.t.Fatalf("%d TrafficTargets, %v", len(targets), err)
	}
	target := targets[0]
	name := cluster.Dig(target, "metadata", "name").(string)
	w.delete(targetVersion, "TrafficTarget", shopNamespace, name)
	without := w.exact("after a deletion")
	if cmp.Equal(after, without) {
		w.t.Error("the deletion changed nothing that is written")
	}
	w.unspoken("access.smi-spec.io", "TrafficTarget", name)
	w.renamed(target, "renamed")
	if d := cmp.Diff(len(after), len(w.exact("after a renaming"))); d != "" {
		w.t.Errorf("the renaming left something behind, or too little (-before +after):\n%s", d)
	}
	w.reported(w.expected())
}

// renamed creates an object anew by another name.
func (w *world) renamed(o lab.Object, name string) {
	w.t.Helper()
	now := cluster.Object(o["apiVersion"].(string), o["kind"].(string), shopNamespace, name)
	now["spec"] = o["spec"]
	if _, err := w.Create(now); err != nil {
		w.t.Fatal(err)
	}
}

// unspoken waits until there is no report about what is gone.
func (w *world) unspoken(group, kind, name string) {
	w.t.Helper()
	w.eventually("no report about "+name, func() (bool, any) {
		return w.gone(cluster.Object("meshknot.io/v1alpha1", v1alpha1.KindTranslationReport, shopNamespace, v1alpha1.ReportName(group, kind, name))), nil
	})
}

// foreign has somebody else write an object of our name first: it stays as it is, and
// is reported, until its owner hands it over.
func (w *world) foreign() {
	w.t.Helper()
	split, err := w.Get(cluster.Object(splitVersion, "TrafficSplit", shopNamespace, shopSplit))
	if err != nil {
		w.t.Fatal(err)
	}
	r := w.Report("split.smi-spec.io", "TrafficSplit", shopNamespace, shopSplit, "on-istio")
	if len(r.Artifacts) != 1 {
		w.t.Fatalf("of the split is made %q", r.Artifacts)
	}
	kind, at, _ := strings.Cut(r.Artifacts[0], " ")
	_, name, _ := strings.Cut(at, "/")
	w.delete(splitVersion, "TrafficSplit", shopNamespace, shopSplit)
	w.exact("without the split")
	theirs := cluster.Object(strings.TrimSuffix(kind, "/VirtualService"), "VirtualService", shopNamespace, name)
	theirs["spec"] = lab.Object{"hosts": []any{"theirs.example"}, "http": []any{lab.Object{"route": []any{lab.Object{"destination": lab.Object{"host": "theirs"}}}}}}
	stored, err := w.Create(theirs)
	if err != nil {
		w.t.Fatal(err)
	}
	w.renamed(split, shopSplit)
	w.eventually("a report that somebody else has the name", func() (bool, any) {
		r := w.Report("split.smi-spec.io", "TrafficSplit", shopNamespace, shopSplit, "on-istio")
		return r.Conditions[v1alpha1.ConditionProgrammed] == "False/Foreign" && w.finds(shopNamespace, shopSplit, "MK3018"), r
	})
	if now, err := w.Get(theirs); err != nil || !cmp.Equal(stored, now) {
		w.t.Errorf("somebody else's object was touched: %v\n%s", err, cmp.Diff(stored, now))
	}
	if _, err := w.Patch(theirs, lab.Object{"metadata": lab.Object{"annotations": lab.Object{sink.TakeOverAnnotation: "true"}}}); err != nil {
		w.t.Fatal(err)
	}
	w.reported(w.exact("after it was handed over"))
	if w.finds(shopNamespace, shopSplit, "MK3018") {
		w.t.Error("the report still says that the place is taken")
	}
}

// finds reports whether the report on a split has a finding.
func (w *world) finds(namespace, split, code string) bool {
	o, err := w.Get(cluster.Object("meshknot.io/v1alpha1", v1alpha1.KindTranslationReport, namespace, v1alpha1.ReportName("split.smi-spec.io", "TrafficSplit", split)))
	if err != nil {
		return false
	}
	backends, _ := cluster.Dig(o, "status", "backends").([]any)
	for _, b := range backends {
		list, _ := cluster.Dig(b, "findings").([]any)
		for _, f := range list {
			if cluster.Dig(f, "code") == code {
				return true
			}
		}
	}
	return false
}
