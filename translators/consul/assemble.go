package consul

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// Assemble joins what several units say of one service. Of intentions stays what
// all of them allow; what a service speaks has to be the same for all.
func (backend) Assemble(parts []translators.Artifact) (translators.Artifact, report.Report) {
	if strings.HasSuffix(parts[0].ID.Type, kindDefaults.entry) || strings.HasSuffix(parts[0].ID.Type, kindDefaults.object) {
		return spoken(parts)
	}
	return allowedByAll(parts)
}

// spoken joins service-defaults, which differ in nothing but the protocol. Where they
// do, that of a workload stays: Consul would refuse its permissions, and with them
// its deny, for a service that speaks no HTTP.
func spoken(parts []translators.Artifact) (translators.Artifact, report.Report) {
	own := standing(parts)
	first, out := own[0], own[0]
	if i := slices.IndexFunc(own, func(p translators.Artifact) bool { return p.Unit.Kind == ir.KindWorkload }); i > 0 {
		out = own[i]
	}
	var found report.Report
	for _, p := range own[1:] {
		says, other := field(bodyOf(first), "Protocol"), field(bodyOf(p), "Protocol")
		if namesakes(first, p) {
			out.Effects = []report.Effect{report.Strays} // the pods of both share what comes to either
		}
		switch {
		case says != other:
			found = append(found, report.New(report.Claimed, refOf(p), fmt.Sprintf(
				"%s and %s are one service in Consul, and it would speak both %v and %v", first.Unit, p.Unit, says, other)).With(refOf(first)))
		case namesakes(first, p):
			found = append(found, report.New(report.Lossy, refOf(p), fmt.Sprintf(
				"%s and %s are one service in Consul, which has no namespaces: what is said of one holds for both; the option service.%s names it otherwise",
				first.Unit, p.Unit, ir.Name{Namespace: p.Unit.Namespace, Name: p.Unit.Name})).WithClass(report.Approximated).With(refOf(first)))
		}
	}
	return out, found
}

// namesakes reports whether two parts are of Services that are one in Consul.
func namesakes(a, b translators.Artifact) bool {
	return a.Unit.Kind == ir.KindService && b.Unit.Kind == ir.KindService && a.Unit != b.Unit && !strings.HasPrefix(nameIn(b), missing)
}

// met begins the parts that are made by callers of a service.
const met = "met by "

// standing are the parts of a service by those that stand for it. What its callers
// need it to be counts where nobody does.
func standing(parts []translators.Artifact) []translators.Artifact {
	own := slices.DeleteFunc(slices.Clone(parts), func(p translators.Artifact) bool { return strings.HasPrefix(p.Part, met) })
	if len(own) == 0 {
		return parts[:1]
	}
	return own
}

func nameIn(a translators.Artifact) string {
	return a.ID.Name[strings.LastIndexByte(a.ID.Name, '/')+1:]
}

func refOf(a translators.Artifact) report.Ref {
	if len(a.Refs) == 0 {
		return report.Ref{}
	}
	return a.Refs[0]
}

// allowedByAll joins intentions: a proxy does not know for which of the accounts
// behind its service it stands, so a call passes that all of them allow.
func allowedByAll(parts []translators.Artifact) (translators.Artifact, report.Report) {
	out := parts[0]
	sources := list(bodyOf(out), "Sources")
	narrowed := false
	for _, p := range parts[1:] {
		other := list(bodyOf(p), "Sources")
		shared := both(sources, other)
		narrowed = narrowed || !same(shared, sources) || !same(shared, other)
		sources = shared
	}
	out.Payload = withSources(out.Payload.(object), sources)
	if !narrowed {
		return out, nil
	}
	f := report.New(report.Lossy, refOf(parts[0]), fmt.Sprintf(
		"several workloads are the service %s in Consul: a call passes that all of them allow", nameIn(out))).WithClass(report.Narrowed)
	for _, p := range parts[1:] {
		f = f.With(refOf(p))
	}
	return out, report.Report{f}
}

// both lists what two lists of sources allow alike. A grant for whatever is said
// covers every permission; permissions are compared as they are written.
func both(a, b []any) []any {
	var out []any
	for _, x := range a {
		i := slices.IndexFunc(b, func(y any) bool { return field(x.(object), "Name") == field(y.(object), "Name") })
		if i < 0 {
			continue
		}
		if s, ok := meet(x.(object), b[i].(object)); ok {
			out = append(out, s)
		}
	}
	return out
}

// meet returns what two sources of one name allow alike. The last permission of
// each denies the rest.
func meet(a, b object) (object, bool) {
	x, y := list(a, "Permissions"), list(b, "Permissions")
	switch {
	case len(x) == 0:
		return b, true
	case len(y) == 0:
		return a, true
	}
	shared := slices.DeleteFunc(slices.Clone(x), func(p any) bool {
		return !slices.ContainsFunc(y, func(q any) bool { return same(p, q) })
	})
	a = maps.Clone(a)
	a[named(a, "Permissions")] = shared
	return a, len(shared) > 1
}

// bodyOf returns what an entry, or an object, says.
func bodyOf(a translators.Artifact) object {
	o := a.Payload.(object)
	if spec, ok := o["spec"].(object); ok {
		return spec
	}
	return o
}

func withSources(payload object, sources []any) object {
	payload = maps.Clone(payload)
	if spec, ok := payload["spec"].(object); ok {
		spec = maps.Clone(spec)
		spec["sources"], payload["spec"] = sources, spec
		return payload
	}
	payload["Sources"] = sources
	return payload
}

// named returns how a field is written: as in an entry, or as in an object.
func named(o object, name string) string {
	if _, ok := o[name]; ok {
		return name
	}
	return strings.ToLower(name[:1]) + name[1:]
}

func field(o object, name string) any { return o[named(o, name)] }

func list(o object, name string) []any {
	l, _ := field(o, name).([]any)
	return l
}

// distinct returns values without those that are there before.
func distinct(in []any) []any {
	var out []any
	for _, v := range in {
		if !slices.ContainsFunc(out, func(o any) bool { return same(o, v) }) {
			out = append(out, v)
		}
	}
	return out
}

// same compares values as they are written.
func same(a, b any) bool {
	x, err := json.Marshal(a)
	if err != nil {
		return false
	}
	y, err := json.Marshal(b)
	return err == nil && string(x) == string(y)
}
