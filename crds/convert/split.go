package convert

import (
	"encoding/json"
	"math"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/smi"
)

// split converts a TrafficSplit. Its weights are quantities in v1alpha1 and whole
// numbers since, and it has matches from v1alpha3 on. The schema of v1alpha2 keeps
// matches that it does not name, so that nothing is lost there.
func split(from, to string, c content) error {
	under := inner(c, spec)
	if matches, ok := under["matches"]; ok && to == v1alpha1 {
		if !empty(matches) {
			return refuse("spec.matches", "%s has no matches; without them every request would be split", to)
		}
		delete(under, "matches")
	}
	if from == v1alpha1 {
		return weights(under)
	}
	return nil
}

// weights makes whole numbers of quantities: the same ones where all are whole,
// else the same ratio in lowest terms. A part of an object may lack some.
func weights(under map[string]any) error {
	list, _ := under["backends"].([]any)
	out := make([]int64, len(list))
	sum, plain := int64(0), true
	for i, b := range list {
		weight := weightOf(b)
		w, ok := whole(weight)
		plain = plain && (ok && w <= math.MaxUint32 || weight == nil)
		out[i], sum = w, sum+w
	}
	if !plain || sum > math.MaxUint32 {
		var err error
		if out, err = lowest(list); err != nil {
			return err
		}
	}
	for i, b := range list {
		if weightOf(b) != nil {
			b.(map[string]any)["weight"] = out[i]
		}
	}
	return nil
}

func weightOf(backend any) any {
	b, _ := backend.(map[string]any)
	return b["weight"]
}

// whole reads a quantity that is a whole number from 0.
func whole(weight any) (int64, bool) {
	switch w := weight.(type) {
	case int64:
		return w, w >= 0
	case string:
		if len(w) > 64 {
			return 0, false
		}
		q, err := resource.ParseQuantity(w)
		if err != nil || q.Sign() < 0 || q.CmpInt64(math.MaxUint32) > 0 {
			return 0, false
		}
		n := q.Value() // rounded up
		return n, q.CmpInt64(n) == 0
	}
	return 0, false
}

// lowest has SMI's own reader bring the weights of a split to their lowest terms.
func lowest(list []any) ([]int64, error) {
	backends := make([]any, len(list))
	for i, b := range list {
		weight := weightOf(b)
		if weight == nil {
			weight = 0
		}
		backends[i] = map[string]any{"service": "x", "weight": weight}
	}
	text, err := json.Marshal(map[string]any{"spec": map[string]any{"service": "x", "backends": backends}})
	if err != nil {
		return nil, refuse("spec.backends", "it is no JSON: %v", err)
	}
	schemas := smi.Schemas()
	at := slices.IndexFunc(schemas, func(s known) bool { return s.Kind == smi.KindTrafficSplit && s.Version == v1alpha1 })
	value, found := schemas[at].Decode(input.Document{
		ID: input.ID{Group: smi.GroupSplit, Kind: smi.KindTrafficSplit, Name: "x"}, Version: v1alpha1, JSON: text})
	for _, f := range found {
		if f.Severity == report.Error {
			return nil, refuse(f.Source.Field, "%s", f.Message)
		}
	}
	out := make([]int64, len(list))
	for i, b := range value.(*smi.Split).Backends {
		out[i] = int64(b.Weight)
	}
	return out, nil
}
