package consul

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
)

type object = map[string]any

// everybody is the name that stands for every service.
const everybody = "*"

// entry is a configuration entry. Services are known by the names that the back
// end gives them, which a stage renames together.
type entry struct {
	kind, name string
	body       object
}

// divided tells the entries that hold for all of a mesh from those of services.
func divided(texts []json.RawMessage) (general, special []entry, err error) {
	for _, text := range texts {
		e := entry{}
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber() // numbers stay as they are written
		if err := d.Decode(&e.body); err != nil {
			return nil, nil, err
		}
		e.kind, e.name = word(e.body["Kind"]), word(e.body["Name"])
		if e.kind == "mesh" || e.kind == "proxy-defaults" || e.name == everybody {
			e.name = cmp.Or(e.name, e.kind) // "mesh" has no name
			general = append(general, e)
		} else {
			special = append(special, e)
		}
	}
	return general, special, nil
}

func word(v any) string { s, _ := v.(string); return s }

// renamed is an entry with a prefix before the names of all services.
func (e entry) renamed(prefix string) (entry, error) {
	body, ok := prefixed(e.body, "", prefix).(object)
	if !ok || word(body["Name"]) != prefix+e.name {
		return e, fmt.Errorf("%s %s names no service", e.kind, e.name)
	}
	return entry{e.kind, prefix + e.name, body}, nil
}

// prefixed renames services wherever an entry names one: in its own Name, in the
// Name of a source and in every Service. Headers have names too, which stay.
func prefixed(v any, at, prefix string) any {
	switch v := v.(type) {
	case object:
		out := object{}
		for k, in := range v {
			name, isText := in.(string)
			names := k == "Service" || k == "Name" && (at == "" || at == "Sources")
			if isText && names && name != "" && name != everybody {
				out[k] = prefix + name
				continue
			}
			out[k] = prefixed(in, k, prefix)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = prefixed(v[i], at, prefix)
		}
		return out
	}
	return v
}
