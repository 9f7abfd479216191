package manifest

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Names are as long as Kubernetes allows at most, and stand for their whole key.
func TestName(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		readable := strings.Repeat("a", rapid.IntRange(0, 400).Draw(t, "length"))
		key := rapid.SliceOfN(rapid.StringMatching(`[a-z/-]{0,3}`), 1, 4).Draw(t, "key")
		other := rapid.SliceOfN(rapid.StringMatching(`[a-z/-]{0,3}`), 1, 4).Draw(t, "other")
		one, two := Name(readable, key...), Name(readable, other...)
		if len(one) > nameLimit {
			t.Fatalf("%d characters", len(one))
		}
		if same := strings.Join(key, "\x00") == strings.Join(other, "\x00"); (one == two) != same {
			t.Fatalf("%q and %q are named %s and %s", key, other, one, two)
		}
	})
}
