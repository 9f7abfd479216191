package input

import (
	"fmt"
	"slices"
	"testing"
)

// Every question is recorded once, in the order in which it was asked first, derived or
// not, however many there are.
func TestQuestionsAreRecordedOnce(t *testing.T) {
	for _, n := range []int{3, few, few + 1, 500} {
		for _, expected := range []int{0, 5, 1000} {
			made := 0
			d := Derivation{Name: "test/made", Make: func(_ Reader, _ ID) any { made++; return made }}
			r := StoreOf(nil, Settings{}).TrackIn(NewMemory())
			r.Expect(expected)
			var want []Question
			for range 3 {
				for i := range n {
					id := ID{Kind: "Kind", Name: fmt.Sprint(i)}
					d.Of(r, id)
					r.Get(id)
					if len(want) < 2*n {
						want = append(want, d.question(id), Question{form: formGet, id: id})
					}
				}
			}
			if !slices.Equal(r.Asked(), want) {
				t.Errorf("%d of each, %d expected: %d questions are recorded, want %d, each once and in order", n, expected, len(r.Asked()), len(want))
			}
			if made != n {
				t.Errorf("%d answers were derived, want %d", made, n)
			}
		}
	}
}
