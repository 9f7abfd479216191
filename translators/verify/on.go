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
	if on == "" {
		return true
	}
	has, ok := properties[on]
	path, query, _ := strings.Cut(q.Path, "?")
	return ok && has(q, path, query)
}

// properties are those that a request tells by itself, its path and its query.
var properties = map[feature.On]func(q semantics.Request, path, query string) bool{
	feature.OnRawPath:        func(q semantics.Request, path, _ string) bool { return path != semantics.NormalisePath(q.Path) },
	feature.OnRepeatedHeader: func(q semantics.Request, _, _ string) bool { return anyHeader(q, several) },
	feature.OnRepeatedQuery:  func(q semantics.Request, _, _ string) bool { return repeated(q.Path) },
	feature.OnPlainText:      func(q semantics.Request, _, _ string) bool { return q.From == nil },
	feature.OnStraight:       func(q semantics.Request, _, _ string) bool { return q.Workload != (ir.Name{}) },
	feature.OnRaw:            func(q semantics.Request, _, _ string) bool { return q.Raw },
	feature.OnNotPost:        func(q semantics.Request, _, _ string) bool { return !q.Raw && q.Method != "POST" },
	feature.OnComma:          func(q semantics.Request, _, _ string) bool { return anyHeader(q, withComma) },
	feature.OnBrace:          func(_ semantics.Request, path, _ string) bool { return strings.ContainsAny(path, "{}") },
	feature.OnSlashes:        func(_ semantics.Request, path, _ string) bool { return strings.Contains(path, "//") },
	feature.OnOddSegment: func(_ semantics.Request, path, _ string) bool {
		return strings.Contains(path, "/.") || strings.Contains(path, "%")
	},
	feature.OnQuery:        func(q semantics.Request, _, _ string) bool { return strings.Contains(q.Path, "?") },
	feature.OnEncodedQuery: func(_ semantics.Request, _, query string) bool { return strings.ContainsAny(query, "%+") },
	feature.OnNotASCII:     func(q semantics.Request, _, _ string) bool { return anyHeader(q, beyondASCII) },
}

func anyHeader(q semantics.Request, has func(lines []string) bool) bool {
	for _, lines := range q.Headers {
		if has(lines) {
			return true
		}
	}
	return false
}

func several(lines []string) bool { return len(lines) > 1 }

func withComma(lines []string) bool { return strings.Contains(strings.Join(lines, ","), ",") }

func beyondASCII(lines []string) bool {
	return slices.ContainsFunc(lines, func(l string) bool {
		return strings.ContainsFunc(l, func(r rune) bool { return r > '~' })
	})
}

// HasIn reports what Has does of the request of a difference and, of properties
// that only the unit of a row can tell, whether that has them.
func HasIn(u ir.Unit, d Difference, on feature.On) bool {
	q := d.Request
	switch on {
	case feature.OnOtherPort:
		return u.Workload != nil && q.Workload != (ir.Name{}) && !namesPort(*u.Workload, q.Port)
	case feature.OnOtherHost:
		return q.Service != (ir.Name{}) && slices.ContainsFunc(q.Headers["host"], func(h string) bool { return !names(h, q.Service) })
	case feature.OnProbe:
		return u.Workload != nil && !q.Raw && slices.ContainsFunc(u.Workload.Probes, func(p ir.Probe) bool { return probes(p, q) })
	case feature.OnProbeAsSent:
		return HasIn(u, d, feature.OnProbe) && Has(q, feature.OnRawPath)
	case feature.OnView:
		own := func(id translators.ID) bool { return strings.HasPrefix(id.Name, q.From.Namespace+"/") }
		return u.Service != nil && q.From != nil && views(*u.Service, q.From.Namespace) &&
			slices.ContainsFunc(d.By, own) && (d.Want == "status 404" || !own(d.By[0]))
	case feature.OnUnrouted:
		return u.Service != nil && !slices.ContainsFunc(u.Service.Ports, func(p ir.Port) bool { return len(p.AllRoutes()) > 1 })
	case feature.OnNobody:
		return u.Service != nil && slices.ContainsFunc(u.Service.Ports, func(p ir.Port) bool { return len(unmanned(p)) > 0 })
	case feature.OnBothAdd:
		return u.Service != nil && slices.ContainsFunc(u.Service.Ports, bothAdd)
	case feature.OnOthers:
		return u.Key() != d.Unit
	}
	return Has(q, on)
}

// bothAdd reports whether a route of a port and a backend of it add lines to one
// header of the answer.
func bothAdd(p ir.Port) bool {
	return slices.ContainsFunc(p.AllRoutes(), func(r ir.Route) bool {
		return r.ResponseHeaders != nil && slices.ContainsFunc(r.Backends, func(b ir.Backend) bool {
			return b.ResponseHeaders != nil && slices.ContainsFunc(b.ResponseHeaders.Add, func(own ir.Header) bool {
				return slices.ContainsFunc(r.ResponseHeaders.Add, func(h ir.Header) bool { return h.Name == own.Name })
			})
		})
	})
}

// views reports whether the callers of a namespace have routes of their own.
func views(s ir.Service, namespace string) bool {
	return slices.ContainsFunc(s.Ports, func(p ir.Port) bool {
		return slices.ContainsFunc(p.Views, func(v ir.View) bool { return v.Namespace == namespace })
	})
}

// unmanned lists the backends of a port behind which the unit knows no account.
func unmanned(p ir.Port) []ir.ServicePort {
	var out []ir.ServicePort
	for _, r := range p.AllRoutes() {
		for _, b := range r.Backends {
			at := ir.ServicePort{Service: b.Service, Port: b.Port}
			if b.Invalid == "" && b.Weight > 0 && len(b.Servers) == 0 && !slices.Contains(out, at) {
				out = append(out, at)
			}
		}
	}
	return out
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

// names reports whether a host, with or without a port, is a name of a Service.
func names(host string, s ir.Name) bool {
	host, _, _ = strings.Cut(strings.ToLower(host), ":")
	full := s.Name + "." + s.Namespace
	return slices.Contains([]string{s.Name, full, full + ".svc", full + ".svc.cluster.local"}, host)
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
