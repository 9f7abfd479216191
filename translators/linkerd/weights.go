package linkerd

import (
	"math/bits"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/manifest"
)

// maxWeight is the greatest weight that a backend of a route takes.
const maxWeight = 1_000_000

// weightsOf brings weights into the range of a route. It reports whether their
// ratio is kept; a share never becomes nothing.
func weightsOf(backends []ir.Backend) ([]int64, bool) {
	var divisor, most uint64
	for _, b := range backends {
		divisor, most = manifest.CommonDivisor(uint64(b.Weight), divisor), max(most, uint64(b.Weight))
	}
	if most <= maxWeight {
		divisor = 1
	}
	divisor = max(divisor, 1)
	exact := most/divisor <= maxWeight
	out := make([]int64, len(backends))
	for i, b := range backends {
		w := uint64(b.Weight) / divisor
		if !exact {
			hi, lo := bits.Mul64(uint64(b.Weight), maxWeight)
			w, _ = bits.Div64(hi, lo, most)
			w = max(1, w)
		}
		out[i] = int64(w)
	}
	return out, exact
}
