package input

import (
	"slices"
	"strings"
	"testing"
)

// TestOthers: what no schema knows is kept for rules, with its places, and is
// still said to be ignored.
func TestOthers(t *testing.T) {
	text := "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: b, namespace: shop}\nspec:\n  size: 3\n---\n" +
		"apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\n---\n" +
		"apiVersion: example.com/v2\nkind: Widget\nmetadata: {name: b, namespace: shop}\nspec: {size: 4}\n---\n" +
		"apiVersion: example.com/v1\nkind: WidgetList\nitems:\n- metadata: {name: c}\n"
	set, found := Read([]string{"-"}, Options{Schemas: schemas(), Stdin: strings.NewReader(text)})
	var got []string
	for _, o := range set.Others {
		p, _ := set.Locate(o.Ref("spec.size"))
		got = append(got, o.Ref("").String()+" "+o.Version+" "+p.String()+" "+string(set.JSON(o.ID)))
	}
	want := []string{
		`Widget a v1 <stdin>:7:1 {"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"a"}}`,
		`Widget c v1 <stdin>:19:3 {"metadata":{"name":"c"}}`,
		`Widget shop/b v1 <stdin>:5:9 {"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"b","namespace":"shop"},"spec":{"size":3}}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if len(set.Objects)+len(set.Rejected) != 0 || len(found) != 5 {
		t.Errorf("they must not become objects, and each must be told: %+v", found)
	}
}
