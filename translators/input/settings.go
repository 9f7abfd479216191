package input

import (
	"fmt"
	"strings"
)

// ParseWorkload reads "namespace/account=key=value,key=value": the labels of an
// account's pods, as Settings.Workloads keeps them.
func ParseWorkload(s string) (name string, labels map[string]string, err error) {
	name, list, ok := strings.Cut(s, "=")
	ns, account, named := strings.Cut(name, "/")
	if !ok || !named || ns == "" || account == "" {
		return "", nil, fmt.Errorf("%q is not NAMESPACE/ACCOUNT=key=value[,key=value]", s)
	}
	labels = map[string]string{}
	for _, pair := range strings.Split(list, ",") {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return "", nil, fmt.Errorf("%q: %q is no label", s, pair)
		}
		labels[key] = value
	}
	return name, labels, nil
}

// Configure says what holds for the run and, in its place, for some namespaces.
// Nothing is kept of what held before. The maps are not kept either.
func (s *Store) Configure(def Settings, byNamespace map[string]Settings) Changed {
	own := make(map[string]Settings, len(byNamespace))
	for namespace, settings := range byNamespace {
		if namespace != "" && digestOf(settings) != digestOf(def) {
			own[namespace] = settings
		}
	}
	var c Changed
	s.configure(def, own, &c)
	return c.done()
}

// configure takes down which answers differ. Who asked about a namespace without
// settings of its own hangs on those of the run as well, so it is told when its
// namespace gets some, or has none any more, even if they say the same.
func (s *Store) configure(def Settings, own map[string]Settings, c *Changed) {
	differ := func(namespace string, was, now Settings, moved bool) {
		if moved || was.Complete != now.Complete {
			c.Questions = append(c.Questions, Question{form: formEverything, id: ID{Namespace: namespace}})
		}
		if moved || digestOf(was) != digestOf(now) {
			c.Questions = append(c.Questions, Question{form: formSettings, id: ID{Namespace: namespace}})
		}
	}
	differ("", s.settings, def, false)
	for namespace, now := range own {
		was, known := s.own[namespace]
		differ(namespace, was, now, !known)
	}
	for namespace, was := range s.own {
		if _, stays := own[namespace]; !stays {
			differ(namespace, was, def, true)
		}
	}
	s.settings, s.own = def, own
}
