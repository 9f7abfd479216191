package smi

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// weights reads the weights of a split as a ratio in lowest terms, one for each
// backend; a weight in error counts as 0.
func (d *decoder) weights(backends []wireBackend) []uint32 {
	exact := make([]*big.Rat, len(backends))
	for i, b := range backends {
		w, fault, hint := d.weight(b.Weight)
		if fault != "" {
			d.errorf(report.BadWeight, weightField(i), hint, "%s", fault)
			w = new(big.Rat)
		}
		exact[i] = w
	}
	return d.fit(lowest(exact))
}

// weight reads one weight, or says what is wrong with it.
func (d *decoder) weight(raw json.RawMessage) (w *big.Rat, fault, hint string) {
	const whole = "write a whole number; only the ratio of the weights counts"
	if absent(raw) {
		return nil, "the weight is missing", "give every backend a weight; 0 sends it nothing"
	}
	shown := string(raw)
	if len(shown) > longestWeight {
		shown = strings.ToValidUTF8(shown[:longestWeight], "") + "..."
	}
	written, quoted := text(raw)
	if !quoted {
		written = string(raw)
	}
	w, plain, ok := parseQuantity(written)
	switch {
	case !ok && d.Version == v1alpha1:
		return nil, fmt.Sprintf("weight %s is no quantity", shown), "write a number, or a quantity such as 500m"
	case !ok:
		return nil, fmt.Sprintf("weight %s is no number", shown), whole
	case w.Sign() < 0:
		return nil, fmt.Sprintf("weight %s is negative", shown), "write 0 for a backend that gets nothing"
	case d.Version == v1alpha1:
		return w, "", ""
	case quoted && plain && w.IsInt():
		return nil, fmt.Sprintf("weight %s is a string", shown), "write it without quotes: " + written
	case quoted:
		return nil, fmt.Sprintf("weight %s is a quantity, which only v1alpha1 knows", shown), whole
	case !w.IsInt():
		return nil, fmt.Sprintf("weight %s is a fraction", shown), whole
	}
	return w, "", ""
}

// fit makes weights of a ratio. They, and their sum, have to fit 32 bits.
func (d *decoder) fit(ratio []*big.Int) []uint32 {
	out := make([]uint32, len(ratio))
	sum := new(big.Int)
	for i, w := range ratio {
		if !w.IsUint64() || w.Uint64() > math.MaxUint32 {
			d.errorf(report.BadWeight, weightField(i), "write a coarser ratio",
				"the weight is %s in lowest terms, more than %d", w, uint32(math.MaxUint32))
			continue
		}
		out[i] = uint32(w.Uint64())
		sum.Add(sum, w)
	}
	if !sum.IsUint64() || sum.Uint64() > math.MaxUint32 {
		d.errorf(report.BadWeight, "spec.backends", "write a coarser ratio",
			"the weights sum up to %s in lowest terms, more than %d", sum, uint32(math.MaxUint32))
	}
	return out
}

func weightField(i int) string {
	return input.Field(input.Element("spec.backends", i), "weight")
}

// lowest brings numbers to a common denominator and divides them by what they
// have in common. All zero stays all zero.
func lowest(exact []*big.Rat) []*big.Int {
	denominator := big.NewInt(1)
	for _, w := range exact { // least common multiple
		rest := new(big.Int).GCD(nil, nil, denominator, w.Denom())
		denominator.Mul(denominator, new(big.Int).Quo(w.Denom(), rest))
	}
	out := make([]*big.Int, len(exact))
	common := new(big.Int)
	for i, w := range exact {
		factor := new(big.Int).Quo(denominator, w.Denom())
		out[i] = factor.Mul(factor, w.Num())
		common.GCD(nil, nil, common, out[i])
	}
	if common.Sign() > 0 {
		for _, w := range out {
			w.Quo(w, common)
		}
	}
	return out
}

// longestWeight bounds the notation of a weight, in bytes.
const longestWeight = 64

var (
	quantityForm = regexp.MustCompile(`^([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:[eE]([+-]?[0-9]{1,2})|([KMGTPE]i|[numkMGTPE]))?$`)
	suffixes     = []struct {
		name      string
		base, exp int64
	}{
		{"n", 10, -9}, {"u", 10, -6}, {"m", 10, -3}, {"k", 10, 3}, {"M", 10, 6}, {"G", 10, 9}, {"T", 10, 12}, {"P", 10, 15}, {"E", 10, 18},
		{"Ki", 2, 10}, {"Mi", 2, 20}, {"Gi", 2, 30}, {"Ti", 2, 40}, {"Pi", 2, 50}, {"Ei", 2, 60},
	}
)

// parseQuantity reads the notation of a Kubernetes Quantity exactly, where
// Kubernetes itself rounds to a billionth and cuts at 2^63. plain says that it
// has no suffix.
func parseQuantity(s string) (value *big.Rat, plain, ok bool) {
	parts := quantityForm.FindStringSubmatch(s)
	if parts == nil || len(s) > longestWeight {
		return nil, false, false
	}
	value, ok = new(big.Rat).SetString(strings.TrimSuffix(parts[1], "."))
	if !ok {
		return nil, false, false
	}
	if exponent, err := strconv.ParseInt(parts[2], 10, 64); err == nil {
		value.Mul(value, power(10, exponent))
	}
	for _, x := range suffixes {
		if x.name == parts[3] {
			value.Mul(value, power(x.base, x.exp))
		}
	}
	return value, parts[3] == "", true
}

func power(base, exponent int64) *big.Rat {
	negative := exponent < 0
	if negative {
		exponent = -exponent
	}
	r := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(base), big.NewInt(exponent), nil))
	if negative {
		r.Inv(r)
	}
	return r
}
