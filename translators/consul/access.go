package consul

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// everybody is the name that stands for every service.
const everybody = "*"

// denied denies whoever was not named before.
func denied() object { return object{"Name": everybody, "Action": "deny"} }

// intentions makes the entry of who may call a service.
func (m mesh) intentions(name string, sources []any) translators.Artifact {
	return m.artifact(kindIntentions, name, object{"Sources": sources})
}

// workload makes the intentions for every service that the workload is behind.
func (m mesh) workload(w ir.Workload) ([]translators.Artifact, report.Report) {
	if !w.Enforced {
		return nil, nil
	}
	part := ir.Unit{Workload: &w}.Key().String()
	var out []translators.Artifact
	found := commas(w.Grants)
	for _, s := range m.servers(w) {
		allowed, protocol := m.allowed(w.Grants, s.ports), protocolOf(s.protocols())
		if slices.ContainsFunc(allowed, permits) {
			if protocol == protocols[ir.TCP] {
				allowed = slices.DeleteFunc(allowed, permits)
				found = append(found, report.New(report.Lossy, w.Ref, fmt.Sprintf(
					"the ports of the service %s do not speak the same, so it speaks TCP in Consul, which tells no requests apart there: who is granted some is granted none", s.name)).
					WithClass(report.Narrowed))
			} else { // Consul takes permissions only for what speaks HTTP
				out = append(out, m.serviceDefaults(s.name, protocol, part))
			}
		}
		entry := m.intentions(s.name, append(allowed, denied()))
		entry.Rank, entry.Part = rankAccess, part
		out = append(out, entry)
	}
	return referring(out, refsOf(w)), found
}

// commas reports the matches that are left out for a comma in a header's value.
func commas(grants []ir.Grant) report.Report {
	var found report.Report
	for _, g := range grants {
		for _, m := range g.Matches {
			if h := withComma(m); h != nil {
				found = append(found, report.New(report.Refused, h.Ref,
					"allowed by header: there is a comma in the value, and lines of a repeated header that are joined make it too").
					WithClass(report.Dropped))
			}
		}
	}
	return found
}

// permits reports whether a source is let through by what it asks.
func permits(source any) bool { return source.(object)["Permissions"] != nil }

// allowed lists who may call a service: whom every port of it allows, for
// intentions know of no ports.
func (m mesh) allowed(grants []ir.Grant, ports []port) []any {
	var out []any
	for i, p := range ports {
		sources := m.granted(grants, p)
		if i > 0 {
			sources = both(out, sources)
		}
		out = sources
	}
	return out
}

func (s server) protocols() []ir.Protocol {
	var out []ir.Protocol
	for _, p := range s.ports {
		out = append(out, p.protocol)
	}
	return out
}

func refsOf(w ir.Workload) []report.Ref {
	refs := append([]report.Ref{w.Ref}, w.Because...)
	for _, g := range w.Grants {
		refs = append(refs, g.Ref)
		for _, s := range g.Sources {
			refs = append(refs, s.Ref)
		}
		for _, p := range g.Ports {
			refs = append(refs, p.Ref)
		}
		for _, m := range g.Matches {
			refs = append(refs, m.Ref)
		}
	}
	return refs
}

// granting is what one caller may ask.
type granting struct {
	caller string
	// accounts are those that go by the caller's name, for people.
	accounts []string
	// whole: whatever is said; else what one of the permissions allows.
	whole       bool
	permissions []any
	slashes     alone
}

// granted lists who may call a port and what they may ask, a source for each
// caller however many grants name it.
func (m mesh) granted(grants []ir.Grant, p port) []any {
	var all []granting
	for _, g := range grants {
		if !slices.ContainsFunc(g.Ports, p.opens) {
			continue
		}
		whole, permissions := asked(g.Matches, p.protocol.IsHTTP())
		slashes := slashesAlone(g.Matches)
		for _, s := range g.Sources {
			for _, caller := range m.callers(s) {
				all = with(all, granting{caller, []string{account(s.Identity)}, whole, permissions, slashes})
			}
		}
	}
	slices.SortFunc(all, func(a, b granting) int { return strings.Compare(a.caller, b.caller) })
	var out []any
	for _, g := range all {
		if s, ok := g.source(); ok {
			out = append(out, s)
		}
	}
	return out
}

func account(id ir.Identity) string { return "account " + id.Namespace + "/" + id.Account }

func with(all []granting, g granting) []granting {
	i := slices.IndexFunc(all, func(o granting) bool { return o.caller == g.caller })
	if i < 0 {
		return append(all, g)
	}
	o := &all[i]
	o.whole = o.whole || g.whole
	o.accounts = append(slices.Clone(o.accounts), g.accounts...)
	o.permissions = append(slices.Clone(o.permissions), g.permissions...)
	o.slashes = o.slashes.or(g.slashes)
	return all
}

// asked turns matches into permissions. Only a match for everything can be
// fulfilled where requests are not seen.
func asked(matches []ir.Match, http bool) (whole bool, permissions []any) {
	for _, match := range matches {
		if match.IsAll() {
			return true, nil
		}
		if !http {
			continue
		}
		for _, q := range permitted(match) {
			permissions = append(permissions, object{"Action": "allow", "HTTP": q})
		}
	}
	return false, permissions
}

// alone is what may be asked with a path of slashes alone. Proxies merge slashes
// but leave such a path two, and it means the path of one.
type alone struct {
	// allowed are the permissions of what holds for one slash, said of two.
	allowed []any
	// differs: some permission decides two slashes otherwise than one; barred: some
	// holds for two and must not.
	differs, barred bool
}

func slashesAlone(matches []ir.Match) alone {
	var a alone
	for _, m := range matches {
		one, two := m.Path.Matches("/"), m.Path.Matches("//")
		a.differs, a.barred = a.differs || one != two, a.barred || two && !one
		if !one {
			continue
		}
		m.Path = ir.StringMatch{Kind: ir.MatchExact, Value: "//"}
		for _, q := range permitted(m) {
			a.allowed = append(a.allowed, object{"Action": "allow", "HTTP": q})
		}
	}
	return a
}

func (a alone) or(b alone) alone {
	return alone{slices.Concat(a.allowed, b.allowed), a.differs || b.differs, a.barred || b.barred}
}

// permissions stand before all others; none where the others decide two slashes
// as they do one.
func (a alone) permissions() []any {
	switch {
	case !a.differs:
		return nil
	case a.barred:
		return append(slices.Clone(a.allowed), object{"Action": "deny", "HTTP": object{"PathExact": "//"}})
	}
	return a.allowed
}

// descriptionLimit is the longest description that Consul takes.
const descriptionLimit = 512

// source writes what a caller may ask. It reports false where that is nothing.
// The first permission that holds counts, and a request that none speaks of would
// be for the agents to decide, so the last one denies.
func (g granting) source() (object, bool) {
	slices.Sort(g.accounts)
	description := strings.Join(slices.Compact(g.accounts), ", ")
	s := object{"Name": g.caller, "Description": description[:min(len(description), descriptionLimit)]}
	if g.whole {
		s["Action"] = "allow"
		return s, true
	}
	rest := object{"Action": "deny", "HTTP": object{"PathPrefix": "/"}}
	s["Permissions"] = append(distinct(slices.Concat(g.slashes.permissions(), g.permissions)), rest)
	return s, len(g.permissions) > 0
}
