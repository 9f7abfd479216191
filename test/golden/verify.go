package golden

import (
	"fmt"
	"testing"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/verify"
)

// Cases loads the cases for a test.
func Cases(t testing.TB, dir string) []Case {
	t.Helper()
	cases, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

// Verify runs a case and decides requests of every kind by what a back end made
// of it, read by an interpreter. Nothing is asked of an output that is withheld.
func Verify(c Case, backend string, read interpret.New) (verify.Result, error) {
	run := Do(c)
	for i, o := range run.Result.Outputs {
		if o.Target.Backend == backend {
			return run.check(o, run.Pieces[i], read)
		}
	}
	return verify.Result{}, fmt.Errorf("there is no back end %s", backend)
}

// Verify is what the function of this name is, for one target.
func (r Run) Verify(c Case, b translators.Backend, t translators.Target, read interpret.New) (verify.Result, error) {
	out, pieces := translators.Make(r.Units, b, t, c.Waivers)
	return r.check(out, pieces, read)
}

func (r Run) check(o translators.Output, pieces []translators.Piece, read interpret.New) (verify.Result, error) {
	if o.Withheld {
		return verify.Result{}, nil
	}
	return verify.Check(interpret.WorldOf(r.Units), read, o, pieces)
}

// Explained demands that tables explain all differences of a result, and returns
// how many requests were decided. What the result is of stands before what is wrong.
func Explained(t testing.TB, of string, result verify.Result, err error) int {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", of, err)
	}
	for _, d := range result.Differences {
		if d.Shown == nil {
			t.Errorf("%s: %s: %s %s by %v", of, d.Unit, d.Request, d.Difference, d.By)
		}
	}
	return result.Asked
}
