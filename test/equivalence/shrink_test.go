package equivalence

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// TestSmallest shrinks to exactly what a failure needs: an object, an item of a
// list within a list and a field, whatever else is there.
func TestSmallest(t *testing.T) {
	var objects []object
	for n := range uint64(3) {
		for _, text := range strings.Split(string(Random(3, n).Files[0].Data), "---\n") {
			var o object
			if err := yaml.Unmarshal([]byte(text), &o); err != nil {
				t.Fatal(err)
			}
			objects = append(objects, o)
		}
	}
	needle := object{"kind": "Needle", "spec": object{"keep": object{"list": []any{"a", object{"b": []any{"1", "2", "3"}, "c": "d"}}}, "drop": "x"}}
	objects = append(objects[:20:20], append([]object{needle}, objects[20:]...)...)
	fails := func(some []object) bool {
		text := string(Manifest(some))
		return strings.Contains(text, "kind: Needle") && strings.Contains(text, `"2"`)
	}
	got := Smallest(objects, fails)
	want := []object{{"kind": "Needle", "spec": object{"keep": object{"list": []any{object{"b": []any{"2"}}}}}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
