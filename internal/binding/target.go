package binding

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/translators"
)

// authorizationOption names the back end that another one leaves authorization to.
const authorizationOption = "authorization"

// target reads what is translated to.
func target(b v1alpha1.MeshBinding, p translators.Pipeline) (translators.Target, error) {
	const field = "spec.backend"
	s := b.Spec.Backend
	back, ok := p.Backend(s.Name)
	if !ok {
		var names []string
		for _, one := range p.Backends {
			names = append(names, one.Name())
		}
		return translators.Target{}, wrong(field+".name", "there is no back end %q: want one of %s", s.Name, strings.Join(names, ", "))
	}
	if err := version(field+".version", back, s.Version); err != nil {
		return translators.Target{}, err
	}
	if err := checkOptions(back, s.Options, p); err != nil {
		return translators.Target{}, err
	}
	options := maps.Clone(s.Options)
	if options == nil {
		options = map[string]string{}
	}
	return translators.Target{Backend: s.Name, Name: b.Name, Version: s.Version,
		TrustDomain: cmp.Or(b.Spec.TrustDomain, defaultTrustDomain), Options: options}, nil
}

func version(field string, b translators.Backend, version string) error {
	switch {
	case version == "" || slices.Contains(b.Versions(), version):
		return nil
	case len(b.Versions()) == 0:
		return wrong(field, "%s has no versions: leave it out", b.Name())
	}
	return wrong(field, "%s has no version %q: it has %s", b.Name(), version, strings.Join(b.Versions(), ", "))
}

// checkOptions reports an option that the back end does not have, or that the one
// it leaves authorization to does not have.
func checkOptions(b translators.Backend, given map[string]string, p translators.Pipeline) error {
	const field = "spec.backend.options"
	var forwarded []translators.Option
	if value, ok := given[authorizationOption]; ok {
		name, wanted, _ := strings.Cut(value, "@")
		other, known := p.Backend(name)
		if !known || !slices.Contains(authorizers(b), name) {
			return wrong(field+"."+authorizationOption, "%q cannot write authorization: want one of %s", name, strings.Join(authorizers(b), ", "))
		}
		if err := version(field+"."+authorizationOption, other, wanted); err != nil {
			return err
		}
		forwarded = options(other)
	}
	for _, key := range slices.Sorted(maps.Keys(given)) {
		if !slices.ContainsFunc(options(b), takes(key)) {
			return wrong(field, "%s has no option %q: meshknot backends show %s lists them", b.Name(), key, b.Name())
		}
		own, ok := strings.CutPrefix(key, authorizationOption+".")
		if ok && !slices.ContainsFunc(forwarded, takes(own)) {
			return wrong(field, "nobody who writes authorization here has an option %q", own)
		}
	}
	return nil
}

// authorizers are the back ends that another one can leave authorization to, as
// its option lists them.
func authorizers(b translators.Backend) []string {
	for _, o := range options(b) {
		if o.Key == authorizationOption {
			_, names, _ := strings.Cut(o.Form, "=")
			return strings.Split(names, "|")
		}
	}
	return nil
}

func options(b translators.Backend) []translators.Option {
	if c, ok := b.(translators.Configurable); ok {
		return c.Options()
	}
	return nil
}

// takes tells whether an option is, or is the family of, a key.
func takes(key string) func(translators.Option) bool {
	return func(o translators.Option) bool {
		if strings.HasSuffix(o.Key, ".") {
			return key != o.Key && strings.HasPrefix(key, o.Key)
		}
		return key == o.Key
	}
}
