package schema

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/hashicorp/consul/api"
)

// ConsulEntry reports what Consul's own client would not keep as it is in a
// configuration entry, or would not know.
func ConsulEntry(entry map[string]any) error {
	text, err := json.Marshal(entry)
	if err != nil {
		return err
	}
	decoded, err := api.DecodeConfigEntryFromJSON(text)
	if err != nil {
		return err
	}
	again, err := json.Marshal(decoded)
	if err != nil {
		return err
	}
	var said, kept any
	if err := json.Unmarshal(text, &said); err != nil {
		return err
	}
	if err := json.Unmarshal(again, &kept); err != nil {
		return err
	}
	return within("", said, kept)
}

// within reports what of a value is not in another.
func within(at string, said, kept any) error {
	switch v := said.(type) {
	case map[string]any:
		other, _ := kept.(map[string]any)
		for k := range v {
			in, ok := other[k]
			if !ok && v[k] != false { // which is not written
				return fmt.Errorf("%s.%s is not known to Consul", at, k)
			}
			if err := within(at+"."+k, v[k], in); ok && err != nil {
				return err
			}
		}
		return nil
	case []any:
		other, _ := kept.([]any)
		if len(other) != len(v) {
			return fmt.Errorf("%s has %d elements, Consul keeps %d", at, len(v), len(other))
		}
		for i := range v {
			if err := within(fmt.Sprintf("%s[%d]", at, i), v[i], other[i]); err != nil {
				return err
			}
		}
		return nil
	}
	if !reflect.DeepEqual(said, kept) {
		return fmt.Errorf("%s is %v, Consul keeps %v", at, said, kept)
	}
	return nil
}
