package sink

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"
)

// odd are texts that some YAML version takes for something else.
var odd = []string{"", " ", "yes", "No", "on", "OFF", "y", "true", "null", "~", "1", "1e3", "0x1f", "010", "1_000", ".5", ".inf", "-", "- a", "a: b", "a:", ":a", "a #b", "#a",
	"2026-01-02", "12:30:45", "a::b", "@type", "`", "*x", "&x", "!x", "|", ">", "a\nb", "a\n", "\ta", "ä", "\u0085", "\x00", "{}", "[]", "a, b", "'", `"`, "%a", "?", "? a", "=", "<<", "outbound|a.b:80|", "10.0.0.1", "1.2.3", "1.2", "5s", "1.5s", "1..2", "0s", "5ss", "12:30", "/a:b", "e1", "a-", "---", "..."}

func value(depth int) *rapid.Generator[any] {
	text := rapid.OneOf(rapid.SampledFrom(odd), rapid.StringN(0, 12, -1), rapid.StringMatching(`[a-zA-Z0-9:./|_-]{0,10}`))
	leaf := rapid.OneOf(
		rapid.Map(text, func(s string) any { return s }),
		rapid.Map(rapid.Int64Range(-1<<40, 1<<40), func(n int64) any { return n }),
		rapid.Map(rapid.Float64Range(-1e6, 1e6), func(f float64) any { return f }),
		rapid.SampledFrom([]any{nil, true, false}))
	if depth == 0 {
		return leaf
	}
	return rapid.OneOf(leaf,
		rapid.Map(rapid.SliceOfN(value(depth-1), 0, 4), func(s []any) any { return s }),
		rapid.Map(rapid.MapOfN(text, value(depth-1), 0, 4), func(m map[string]any) any { return m }))
}

// What is printed reads back as what was there.
func TestYAMLReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := value(4).Draw(t, "value")
		text, err := yamlText(v)
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		got, err := yaml.YAMLToJSON(text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		var a, b any
		if json.Unmarshal(want, &a) != nil || json.Unmarshal(got, &b) != nil {
			t.Fatal("no JSON")
		}
		if d := cmp.Diff(a, b); d != "" {
			t.Fatalf("%s\n%s", d, text)
		}
	})
}
