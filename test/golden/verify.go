package golden

import (
	"fmt"

	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/verify"
)

// Verify runs a case and decides requests of every kind by what a back end made
// of it, read by an interpreter. Nothing is asked of an output that is withheld.
func Verify(c Case, backend string, read interpret.New) (verify.Result, error) {
	run := Do(c)
	for i, o := range run.Result.Outputs {
		if o.Target.Backend == backend && !o.Withheld {
			return verify.Check(interpret.WorldOf(run.Units), read, o, run.Pieces[i])
		}
		if o.Target.Backend == backend {
			return verify.Result{}, nil
		}
	}
	return verify.Result{}, fmt.Errorf("there is no back end %s", backend)
}
