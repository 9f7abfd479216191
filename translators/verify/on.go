package verify

import (
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// Has reports whether a request has the property that an effect is limited to.
func Has(q semantics.Request, on feature.On) bool {
	switch on {
	case "":
		return true
	case feature.OnRawPath:
		path, _, _ := strings.Cut(q.Path, "?")
		return path != semantics.NormalisePath(q.Path)
	case feature.OnRepeatedHeader:
		for _, lines := range q.Headers {
			if len(lines) > 1 {
				return true
			}
		}
		return false
	case feature.OnRepeatedQuery:
		return repeated(q.Path)
	case feature.OnPlainText:
		return q.From == nil
	case feature.OnStraight:
		return q.Workload != (ir.Name{})
	case feature.OnRaw:
		return q.Raw
	case feature.OnNotPost:
		return !q.Raw && q.Method != "POST"
	case feature.OnComma:
		for _, lines := range q.Headers {
			if strings.Contains(strings.Join(lines, ","), ",") {
				return true
			}
		}
		return false
	case feature.OnBrace:
		path, _, _ := strings.Cut(q.Path, "?")
		return strings.ContainsAny(path, "{}")
	case feature.OnSlashes:
		path, _, _ := strings.Cut(q.Path, "?")
		return strings.Contains(path, "//")
	case feature.OnQuery:
		return strings.Contains(q.Path, "?")
	case feature.OnEncodedQuery:
		_, query, _ := strings.Cut(q.Path, "?")
		return strings.ContainsAny(query, "%+")
	case feature.OnNotASCII:
		for _, lines := range q.Headers {
			if slices.ContainsFunc(lines, func(l string) bool { return strings.ContainsFunc(l, func(r rune) bool { return r > '~' }) }) {
				return true
			}
		}
		return false
	}
	return false
}

// HasIn reports what Has does of the request of a difference and, of properties
// that only the unit of a row can tell, whether that has them.
func HasIn(u ir.Unit, d Difference, on feature.On) bool {
	q := d.Request
	switch on {
	case feature.OnOtherPort:
		return u.Workload != nil && q.Workload != (ir.Name{}) && !namesPort(*u.Workload, q.Port)
	case feature.OnProbe:
		return u.Workload != nil && !q.Raw && slices.ContainsFunc(u.Workload.Probes, func(p ir.Probe) bool { return probes(p, q) })
	case feature.OnView:
		own := func(id translators.ID) bool { return strings.HasPrefix(id.Name, q.From.Namespace+"/") }
		return u.Service != nil && q.From != nil && views(*u.Service, q.From.Namespace) &&
			slices.ContainsFunc(d.By, own) && (d.Want == "status 404" || !own(d.By[0]))
	case feature.OnUnrouted:
		return u.Service != nil && !slices.ContainsFunc(u.Service.Ports, func(p ir.Port) bool { return len(p.AllRoutes()) > 1 })
	case feature.OnOthers:
		return u.Key() != d.Unit
	}
	return Has(q, on)
}

// views reports whether the callers of a namespace have routes of their own.
func views(s ir.Service, namespace string) bool {
	return slices.ContainsFunc(s.Ports, func(p ir.Port) bool {
		return slices.ContainsFunc(p.Views, func(v ir.View) bool { return v.Namespace == namespace })
	})
}

// namesPort reports whether anything of a workload speaks of a port.
func namesPort(w ir.Workload, port int32) bool {
	return slices.ContainsFunc(w.Ports, func(p ir.WorkloadPort) bool { return p.Number == port }) ||
		slices.ContainsFunc(w.Probes, func(p ir.Probe) bool { return p.Port == port }) || slices.Contains(w.OtherPorts, port) ||
		slices.ContainsFunc(w.Grants, func(g ir.Grant) bool {
			return slices.ContainsFunc(g.Ports, func(p ir.GrantPort) bool { return p.Number == port })
		})
}

// probes reports whether a request is a probe's, whoever makes it and at whichever port.
func probes(p ir.Probe, q semantics.Request) bool {
	path := semantics.NormalisePath(q.Path)
	switch p.Protocol {
	case ir.HTTP:
		return q.Method == "GET" && path == semantics.NormalisePath(p.Path)
	case ir.GRPC:
		return q.Method == "POST" && path == "/grpc.health.v1.Health/Check"
	}
	return false
}

func repeated(target string) bool {
	_, query, _ := strings.Cut(target, "?")
	seen := map[string]bool{}
	for _, pair := range strings.Split(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if seen[name] {
			return true
		}
		seen[name] = true
	}
	return false
}
