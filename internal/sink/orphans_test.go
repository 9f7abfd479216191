package sink

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/meshknot/meshknot/test/lab"
)

// clusterOrphans finds what bindings left that are gone, but neither what others
// marked as ours nor what went with the definition of all bindings.
func clusterOrphans(t *testing.T, k *kube) {
	k.namespaces(t, "orphans")
	kept, lost := k.owner(t, "kept"), k.owner(t, "lost")
	w, _ := k.writer(t, "istio")
	for owner, name := range map[Owner]string{kept: "kept", lost: "lost"} {
		if _, err := w.Put(t.Context(), owner, virtualService("orphans", name, "there")); err != nil {
			t.Fatal(err)
		}
	}
	k.apply(t, lab.Object{"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
		"metadata": lab.Object{"name": "copied", "namespace": "orphans", "labels": lab.Object{ManagedByLabel: ManagedBy, PartOfLabel: ApplySetID("another")}},
		"spec":     lab.Object{"hosts": []any{"copied"}}})
	// Owners of the other cases are there, or are among what is found.
	found := func(bindings ...string) (kept, lost, another bool) {
		t.Helper()
		all, err := w.Orphans(t.Context(), bindings)
		if err != nil {
			t.Fatal(err)
		}
		has := func(name string) bool { return slices.Contains(all, Owner{Part: ApplySetID(name)}) }
		return has("kept"), has("lost"), has("another")
	}
	if kept, lost, another := found("kept"); kept || !lost || another {
		t.Errorf("found kept: %v, lost: %v, copied: %v", kept, lost, another)
	}
	orphan := Owner{Part: ApplySetID("lost")}
	list, err := w.List(t.Context(), orphan)
	if err != nil || len(list) != 1 || list[0].ID.Name != "orphans/lost" {
		t.Fatalf("of the orphan is there %v, %v", list, err)
	}
	if deleted, err := w.Delete(t.Context(), orphan, virtualService("orphans", "kept", "there").ID); deleted || err != nil {
		t.Errorf("what another one has: deleted %v, %v", deleted, err)
	}
	if deleted, err := w.Delete(t.Context(), orphan, list[0].ID); !deleted || err != nil {
		t.Errorf("deleted %v, %v", deleted, err)
	}

	made := time.Now().Truncate(time.Second)
	if err := k.lab.Eventually("definition of bindings that is younger than what they wrote", time.Minute, func() bool {
		if k.Delete(meshBindings) != nil || k.Apply(meshBindings) != nil {
			return false
		}
		got, err := k.Get(meshBindings)
		at, parsed := time.Parse(time.RFC3339, fmt.Sprint(metadataOf(got)["creationTimestamp"]))
		return err == nil && parsed == nil && at.After(made) && metadataOf(got)["deletionTimestamp"] == nil
	}); err != nil {
		t.Fatal(err)
	}
	if kept, lost, _ := found(); kept || lost {
		t.Errorf("what went with the definition is found: kept: %v, lost: %v", kept, lost)
	}
}
