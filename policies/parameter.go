package policies

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Parameter is a value of a rule that its user may choose. Rules read it as
// Gatekeeper gives it, in input.parameters.
type Parameter struct {
	Name string `json:"name"`
	// Type is "number", "string", "boolean" or "strings", a list of strings.
	Type        string `json:"type"`
	Default     any    `json:"default"`
	Description string `json:"description"`
}

// parameters reads the section of METADATA that declares parameters.
func parameters(value any) ([]Parameter, error) {
	if value == nil {
		return nil, nil
	}
	declared, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%v is no object of parameters by name", value)
	}
	var out []Parameter
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		fields, _ := declared[name].(map[string]any)
		p := Parameter{Name: name, Default: fields["default"]}
		p.Type, _ = fields["type"].(string)
		p.Description, _ = fields["description"].(string)
		if p.Description == "" {
			return nil, fmt.Errorf("%s has no description", name)
		}
		if err := p.accepts(p.Default); err != nil {
			return nil, fmt.Errorf("the default of %s: %w", name, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// accepts reports whether a value is of the parameter's type.
func (p Parameter) accepts(value any) error {
	ok := false
	switch p.Type {
	case "number":
		switch value.(type) {
		case json.Number, float64, int:
			ok = true
		}
	case "string":
		_, ok = value.(string)
	case "boolean":
		_, ok = value.(bool)
	case "strings":
		var list []any
		list, ok = value.([]any)
		ok = ok && !slices.ContainsFunc(list, func(v any) bool { _, is := v.(string); return !is })
	default:
		return fmt.Errorf("%q is no type: number, string, boolean and strings are", p.Type)
	}
	if !ok {
		return fmt.Errorf("%v is not of type %s", value, p.Type)
	}
	return nil
}

// parse reads a value as it is written on a command line.
func (p Parameter) parse(text string) (any, error) {
	var value any = text
	switch p.Type {
	case "number", "boolean":
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		if err := decoder.Decode(&value); err != nil || decoder.More() {
			return nil, fmt.Errorf("%q is not of type %s", text, p.Type)
		}
	case "strings":
		list := []any{}
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				list = append(list, item)
			}
		}
		value = list
	}
	return value, p.accepts(value)
}

// Set gives parameters of rules their values, each as "RULE.KEY=VALUE"; a list
// is separated by commas. It compiles the rules, and has to be called before
// the first check. A rule that could not be loaded has no parameters.
func (e *Engine) Set(assignments ...string) error {
	if len(assignments) == 0 {
		return nil
	}
	p := *e.plan()
	p.entries = slices.Clone(p.entries)
	given := map[string]map[string]any{}
	for _, a := range assignments {
		path, text, assigned := strings.Cut(a, "=")
		dot := strings.LastIndex(path, ".")
		if !assigned || dot < 0 {
			return fmt.Errorf("parameter %q: want RULE.KEY=VALUE", a)
		}
		rule, key := path[:dot], path[dot+1:]
		declared, err := p.parameter(rule, key)
		if err != nil {
			return fmt.Errorf("parameter %q: %w", a, err)
		}
		value, err := declared.parse(text)
		if err != nil {
			return fmt.Errorf("parameter %q: %w", a, err)
		}
		if given[rule] == nil {
			given[rule] = map[string]any{}
		}
		given[rule][key] = value
	}
	for i, en := range p.entries {
		var err error
		if p.entries[i], err = en.with(given[en.rule.Name]); err != nil {
			return err
		}
	}
	e.plan = func() *plan { return &p }
	return nil
}

// Parameters returns the values of a rule's parameters, defaults included.
func (e *Engine) Parameters(rule string) map[string]any {
	for _, en := range e.plan().entries {
		if en.rule.Name != rule {
			continue
		}
		if values, err := ast.JSON(en.parameters.Value); err == nil {
			out, _ := values.(map[string]any)
			return out
		}
	}
	return nil
}

// parameter finds what a rule declares.
func (p *plan) parameter(rule, key string) (Parameter, error) {
	known := false
	var names []string
	for _, en := range p.entries {
		if en.rule.Name != rule {
			continue
		}
		known = true
		for _, declared := range en.rule.Parameters {
			if declared.Name == key {
				return declared, nil
			}
			names = append(names, declared.Name)
		}
	}
	switch {
	case !known:
		return Parameter{}, fmt.Errorf("there is no rule %q", rule)
	case len(names) == 0:
		return Parameter{}, fmt.Errorf("%s has no parameters", rule)
	}
	return Parameter{}, fmt.Errorf("%s has no parameter %q: it has %s", rule, key, strings.Join(names, ", "))
}

// with returns the entry with parameters of these values, and the defaults of
// the others.
func (en entry) with(given map[string]any) (entry, error) {
	values := map[string]any{}
	for _, p := range en.rule.Parameters {
		values[p.Name] = p.Default
	}
	maps.Copy(values, given)
	v, err := ast.InterfaceToValue(values)
	if err != nil {
		return en, fmt.Errorf("reading parameters of %s: %w", en.rule.Name, err)
	}
	en.parameters = ast.NewTerm(v)
	return en, nil
}
