package cli

import (
	"slices"
	"strings"

	"github.com/meshknot/meshknot/internal/migrate"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
)

// authorizationOption is the option that --authorization stands for.
const authorizationOption = "authorization"

// withAuthorization returns the options with what --authorization stands for.
func (f *targetFlags) withAuthorization() []string {
	if f.authorization == "" {
		return f.options
	}
	return append(slices.Clone(f.options), migrate.Target+"."+authorizationOption+"="+f.authorization)
}

// checkAuthorization reports a target whose authorization nobody can write, or
// that has options for whoever writes it which that one does not have.
func checkAuthorization(t translators.Target) error {
	value, set := t.Options[authorizationOption]
	if t.Backend != migrate.Target {
		return nil
	}
	name, version, versioned := strings.Cut(value, "@")
	var known []translators.Option
	if set {
		if !slices.Contains(authorizers(), name) {
			return cannot("--authorization %q: want %s", value, strings.Join(authorizers(), ", "))
		}
		b, _ := all.Pipeline().Backend(name)
		if versioned && !slices.Contains(b.Versions(), version) {
			return cannot("--authorization %q: %s has no version %q: it has %s", value, name, version, strings.Join(b.Versions(), ", "))
		}
		known = options(b)
	}
	for key := range t.Options {
		own, forwarded := strings.CutPrefix(key, authorizationOption+".")
		if forwarded && !slices.ContainsFunc(known, func(o translators.Option) bool { return takes(o, own) }) {
			return cannot("--option %s.%s: there is no --authorization that has the option %s", migrate.Target, key, own)
		}
	}
	return nil
}

// authorizers are the back ends that can write authorization, as the option lists them.
func authorizers() []string {
	b, _ := all.Pipeline().Backend(migrate.Target)
	for _, o := range options(b) {
		if o.Key == authorizationOption {
			_, names, _ := strings.Cut(o.Form, "=")
			return strings.Split(names, "|")
		}
	}
	return nil
}

// takes reports whether an option is, or is the family of, a key.
func takes(o translators.Option, key string) bool {
	if strings.HasSuffix(o.Key, ".") {
		return key != o.Key && strings.HasPrefix(key, o.Key)
	}
	return key == o.Key
}
