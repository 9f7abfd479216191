package krm

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	sigsyaml "sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/translators/input"
)

// What a configuration of our own kind is called.
const (
	configGroup = "meshknot.io"
	configKind  = "Translate"
)

// Config is what the user says to the function: the spec of a Translate, or the data
// of a ConfigMap, in which waivers and options are a line each, and back ends have a
// comma between.
type Config struct {
	// To are back ends such as "istio@1.26".
	To []string
	// Options of back ends by "BACKEND.KEY".
	Options map[string]string
	// Authorization is the mesh in whose form gateway-api writes who may call.
	Authorization string
	Access        string
	Dialect       string
	TrustDomain   string
	// Allow are waivers: "CODE=Kind/ns/name:reason".
	Allow []string
	// FailOn is the mildest finding that fails the function.
	FailOn string
	// Complete: what is not in the package does not exist.
	Complete bool
	// Replace: what was translated is dropped from the package.
	Replace bool
}

// fields lists what can be said.
var fields = []string{"to", "options", "authorization", "access", "dialect", "trustDomain", "allow", "failOn", "complete", "replace"}

// ReadConfig reads the configuration of a list.
func (l *List) ReadConfig() (Config, error) {
	c := Config{Access: "selected", Dialect: "spec", TrustDomain: "cluster.local", FailOn: "error"}
	if l.Config == nil || l.Config.IsNilOrEmpty() {
		return c, errors.New("there is none: give a Translate of meshknot.io/v1alpha1, or a ConfigMap")
	}
	text, err := l.Config.String()
	if err != nil {
		return c, err
	}
	var o struct {
		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Spec       map[string]any    `json:"spec"`
		Data       map[string]string `json:"data"`
	}
	if err := sigsyaml.Unmarshal([]byte(text), &o); err != nil {
		return c, err
	}
	said := o.Spec
	switch {
	case o.Kind == "ConfigMap" && o.APIVersion == "v1":
		said = map[string]any{}
		for k, v := range o.Data {
			said[k] = v
		}
	case o.Kind != configKind || o.APIVersion != configGroup+"/v1alpha1":
		return c, fmt.Errorf("%s %s: want %s of %s/v1alpha1, or a ConfigMap", o.APIVersion, o.Kind, configKind, configGroup)
	}
	for _, key := range slices.Sorted(maps.Keys(said)) {
		if err := c.set(key, said[key]); err != nil {
			return c, err
		}
	}
	if len(c.To) == 0 {
		return c, errors.New("to: names no back end")
	}
	return c, nil
}

func (c *Config) set(key string, value any) error {
	var err error
	switch key {
	case "to":
		c.To, err = words(value, ",\n")
	case "allow":
		c.Allow, err = words(value, "\n")
	case "options":
		c.Options, err = pairs(value)
	case "authorization":
		err = word(value, &c.Authorization)
	case "access":
		err = word(value, &c.Access, "selected", "strict", "off")
	case "dialect":
		err = word(value, &c.Dialect, "spec", "osm", "traefik")
	case "trustDomain":
		err = word(value, &c.TrustDomain)
	case "failOn":
		err = word(value, &c.FailOn, "error", "warning", "info")
	case "complete":
		c.Complete, err = truth(value)
	case "replace":
		c.Replace, err = truth(value)
	default:
		err = errors.New("no such field")
		if meant := input.Closest(key, fields); meant != "" {
			err = fmt.Errorf("no such field: did you mean %s?", meant)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// word reads a text that is one of several, where there are any.
func word(value any, to *string, of ...string) error {
	s, ok := value.(string)
	if !ok {
		return fmt.Errorf("%v is no text", value)
	}
	if len(of) > 0 && !slices.Contains(of, s) {
		return fmt.Errorf("%q: want %s", s, strings.Join(of, ", "))
	}
	*to = s
	return nil
}

func truth(value any) (bool, error) {
	switch v := value.(type) {
	case bool:
		return v, nil
	case string:
		if b, err := strconv.ParseBool(v); err == nil {
			return b, nil
		}
	}
	return false, fmt.Errorf("%v: want true or false", value)
}

// words reads a list, or a text in which one of ends is after each.
func words(value any, ends string) ([]string, error) {
	var out []string
	switch v := value.(type) {
	case string:
		for _, s := range strings.FieldsFunc(v, func(r rune) bool { return strings.ContainsRune(ends, r) }) {
			if s = strings.TrimSpace(s); s != "" {
				out = append(out, s)
			}
		}
	case []any:
		for _, one := range v {
			s, ok := one.(string)
			if !ok {
				return nil, fmt.Errorf("%v is no text", one)
			}
			out = append(out, s)
		}
	default:
		return nil, fmt.Errorf("%v is no list", value)
	}
	return out, nil
}

// pairs reads "KEY: VALUE" or, of a text, lines "KEY=VALUE": a value may have commas.
func pairs(value any) (map[string]string, error) {
	out := map[string]string{}
	switch v := value.(type) {
	case string:
		for _, line := range strings.Split(v, "\n") {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			key, value, ok := strings.Cut(line, "=")
			if !ok {
				return nil, fmt.Errorf("%q: want BACKEND.KEY=VALUE", line)
			}
			out[key] = value
		}
	case map[string]any:
		for key, one := range v {
			s, ok := one.(string)
			if !ok {
				return nil, fmt.Errorf("%s: %v is no text", key, one)
			}
			out[key] = s
		}
	default:
		return nil, fmt.Errorf("%v: want BACKEND.KEY: VALUE", value)
	}
	return out, nil
}
