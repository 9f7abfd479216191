package consul

import (
	"fmt"
	"maps"
	"slices"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/manifest"
	"github.com/meshknot/meshknot/translators/report"
)

// Complete implements translators.Completer. Consul refuses an entry that leads
// from a service to one that speaks otherwise, and a router of what speaks TCP.
// What each speaks is known when all units are joined: what would be refused
// leads to nobody instead, and such a router is left out.
func (backend) Complete(t translators.Target, all []translators.Artifact) ([]translators.Artifact, report.Report) {
	s := speech{mesh: meshOf(t), defaults: map[string]translators.Artifact{}, said: map[string]bool{}}
	for _, a := range all {
		if isA(a, kindDefaults) {
			s.defaults[nameIn(a)] = a
		}
	}
	for _, a := range all {
		if isA(a, kindRouter) && s.of(nameIn(a)) == protocolTCP {
			s.found = append(s.found, report.New(report.Refused, refOf(a), fmt.Sprintf(
				"%s is the service %s, which speaks tcp in Consul, where no requests are seen: its routes are left out",
				a.Unit, nameIn(a))).WithClass(report.Dropped).With(refOf(s.defaults[nameIn(a)])))
			continue
		}
		s.out = append(s.out, s.checked(a))
	}
	return s.out, s.found
}

const protocolTCP = "tcp"

func isA(a translators.Artifact, k kind) bool {
	return a.ID.Type == "consul/"+k.entry || a.ID.Type == group+"/"+k.object
}

// speech is what services speak once all is joined.
type speech struct {
	mesh     mesh                            // INPUT
	defaults map[string]translators.Artifact // by service
	said     map[string]bool                 // what was reported
	out      []translators.Artifact          // OUTPUT
	found    report.Report
}

// of is the protocol of a service: TCP where nothing is said of it.
func (s *speech) of(service string) string {
	a, ok := s.defaults[service]
	if !ok {
		return protocolTCP
	}
	p, _ := field(bodyOf(a), "Protocol").(string)
	return p
}

// checked is an entry that leads to nobody where Consul would refuse where it leads.
func (s *speech) checked(a translators.Artifact) translators.Artifact {
	body := bodyOf(a)
	switch {
	case isA(a, kindRouter):
		return s.withList(a, "Routes", func(route object) object {
			key := named(route, "Destination")
			return changed(route, key, s.led(a, route[key].(object)))
		})
	case isA(a, kindSplitter):
		return s.withList(a, "Splits", func(split object) object { return s.led(a, split) })
	case isA(a, kindResolver):
		key := named(body, "Redirect")
		return withField(a, key, s.led(a, body[key].(object)))
	}
	return a
}

// withList is an artifact with every element of a list changed.
func (s *speech) withList(a translators.Artifact, name string, change func(object) object) translators.Artifact {
	before := list(bodyOf(a), name)
	after := make([]any, 0, len(before))
	for _, v := range before {
		after = append(after, change(v.(object)))
	}
	return withField(a, named(bodyOf(a), name), after)
}

// led is a destination of an entry, or nobody in its place.
func (s *speech) led(a translators.Artifact, destination object) object {
	from := nameIn(a)
	to, _ := field(destination, "Service").(string)
	speaks, other := s.of(from), s.of(to)
	if speaks == other {
		return destination
	}
	if key := fmt.Sprint(a.Unit, " ", to); !s.said[key] {
		s.said[key] = true
		s.found = append(s.found, report.New(report.Refused, refOf(a), fmt.Sprintf(
			"%s speaks %s and leads to %s, which speaks %s: Consul refuses such routes, so what would go there fails",
			a.Unit, speaks, to, other)).WithClass(report.Narrowed).With(refOf(s.defaults[to])))
	}
	return changed(destination, named(destination, "Service"), s.nobody(a, speaks, to))
}

// nobody is a service that nobody is and that speaks a protocol: one for each
// that it stands in for, as shares of a splitter are of different services.
func (s *speech) nobody(a translators.Artifact, protocol, instead string) string {
	name := nameOf(missing+"-"+protocol+"-"+instead, protocol, instead)
	if _, ok := s.defaults[name]; !ok {
		d := s.mesh.madeUp(name, protocol, "")
		d.Unit, d.Refs = a.Unit, slices.Clone(a.Refs)
		d.Effects = []report.Effect{report.Fails, report.Strays} // all that goes there, or a share of it
		s.defaults[name] = d
		s.out = append(s.out, d)
	}
	return name
}

// changed is an object with one field changed.
func changed(o object, key string, v any) object {
	o = maps.Clone(o)
	o[key] = v
	return o
}

// withField is an artifact with one field of what it says changed.
func withField(a translators.Artifact, key string, v any) translators.Artifact {
	payload := a.Payload.(manifest.Object)
	if spec, ok := payload["spec"].(object); ok {
		a.Payload = changed(payload, "spec", changed(spec, key, v))
		return a
	}
	a.Payload = changed(payload, key, v)
	return a
}
