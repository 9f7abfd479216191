package gamma

import (
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

const (
	authorizationOption = "authorization"
	// forwarded begins the options that are the authorizing back end's.
	forwarded = "authorization."
	// formOption of a back end whose entries have two forms: objects go beside routes.
	formOption, asObjects = "form", "kubernetes"
)

// Options implements translators.Configurable.
func (b backend) Options() []translators.Option {
	var names []string
	for _, a := range b.authorization {
		names = append(names, a.Name())
	}
	return []translators.Option{
		{Key: authorizationOption, Form: "authorization=" + strings.Join(names, "|"),
			Help: "the mesh in whose own form authorization is written, with @VERSION behind it if not the newest; none: it is refused"},
		{Key: forwarded, Form: "authorization.KEY=VALUE", Help: "an option of the back end that writes authorization"},
	}
}

// authorizer returns the back end that writes authorization, with its target.
func (b backend) authorizer(t translators.Target) (translators.Backend, translators.Target, bool) {
	name, version, _ := strings.Cut(t.Options[authorizationOption], "@")
	i := slices.IndexFunc(b.authorization, func(a translators.Backend) bool { return a.Name() == name })
	if i < 0 {
		return nil, t, false
	}
	to := translators.Target{Backend: name, Version: version, TrustDomain: t.TrustDomain, Options: map[string]string{}}
	if takesForm(b.authorization[i]) {
		to.Options[formOption] = asObjects
	}
	for k, v := range t.Options {
		if key, ok := strings.CutPrefix(k, forwarded); ok {
			to.Options[key] = v
		}
	}
	return b.authorization[i], to, true
}

// unguarded tells of a namespace that has to deny by default. The table speaks of
// workloads only, and there may be none that is known.
func unguarded(u ir.Unit) report.Report {
	if u.Namespace == nil || !u.Namespace.Enforced {
		return nil
	}
	return report.Report{report.New(report.Withheld, report.Ref{Kind: "Namespace", Name: u.Namespace.Name},
		"what is not granted is denied: "+noAccess).WithClass(report.Dropped)}
}

func takesForm(b translators.Backend) bool {
	c, ok := b.(translators.Configurable)
	return ok && slices.ContainsFunc(c.Options(), func(o translators.Option) bool { return o.Key == formOption })
}

// authorize lets another back end write who may call. Gateways are not its business.
func (b backend) authorize(u ir.Unit, t translators.Target) ([]translators.Artifact, report.Report) {
	if u.Gateway != nil || u.VirtualHost != nil || u.Endpoints != nil {
		return nil, nil
	}
	a, to, ok := b.authorizer(t)
	if !ok {
		return nil, unguarded(u)
	}
	out, found := a.Translate(u, to)
	for i := range out {
		if out[i].Part != "" {
			out[i].Part = a.Name() + partOf + out[i].Part
		}
	}
	return out, found
}

// partOf stands in a Part behind the name of the back end that assembles it.
const partOf = ":"

// Assemble implements translators.Assembler: parts are the authorization's.
func (b backend) Assemble(parts []translators.Artifact) (translators.Artifact, report.Report) {
	parts = slices.Clone(parts)
	var name string
	for i := range parts {
		name, parts[i].Part, _ = strings.Cut(parts[i].Part, partOf)
	}
	for _, a := range b.authorization {
		if joins, ok := a.(translators.Assembler); ok && a.Name() == name {
			return joins.Assemble(parts)
		}
	}
	return parts[0], nil
}

// Supports returns the table: routing is Gateway API's, the rest is that of the
// back end that writes authorization.
func (b backend) Supports(t translators.Target) feature.Table {
	a, to, ok := b.authorizer(t)
	if !ok {
		return alone
	}
	table := slices.DeleteFunc(slices.Clone(routing), func(r feature.Row) bool { return authorizes(r.Feature) })
	for _, r := range a.Supports(to) {
		if authorizes(r.Feature) {
			table = append(table, r)
		}
	}
	return table
}

// authorizes: who answers where nobody is known is up to the mesh too.
func authorizes(f feature.Feature) bool {
	return feature.SpecOf(f).Unit == ir.KindWorkload || f == feature.UnreadyBackend
}
