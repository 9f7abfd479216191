package matchers

import (
	"encoding/json"

	"github.com/meshknot/meshknot/translators"
)

type object = map[string]any

// objects are the artifacts as JSON has them.
func objects(out []translators.Artifact) []object {
	var all []object
	for _, a := range out {
		text, err := json.Marshal(a.Payload)
		if err != nil {
			panic(err)
		}
		var o object
		if err := json.Unmarshal(text, &o); err != nil {
			panic(err)
		}
		all = append(all, o)
	}
	return all
}

func at(o object, path ...string) object {
	for _, p := range path {
		o, _ = o[p].(object)
	}
	return o
}

func list(o object, field string) []object {
	in, _ := o[field].([]any)
	var out []object
	for _, v := range in {
		out = append(out, v.(object))
	}
	return out
}

func text(o object, field string) string { s, _ := o[field].(string); return s }
