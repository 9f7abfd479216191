// Package migrate leads policies from SMI to Gateway API: it says what there is,
// converts it, and proves that what came of it decides as the old one does.
//
// What routes is converted into routes. Who may call has no portable form: it is
// written in the form of one mesh where one is named, and else left by hand. What
// is no SMI stays where and as it is.
package migrate

import (
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// Target is the name of the back end that is converted to.
const Target = "gateway-api"

// authorizationOption is the option of the back end that names who writes access.
const authorizationOption = "authorization"

// Migration is a set of objects on its way from SMI to Gateway API.
type Migration struct {
	pipeline translators.Pipeline
	set      *input.Set
	settings input.Settings
	target   translators.Target
	backend  translators.Backend
	units    []ir.Unit
	found    report.Report
}

// New makes a migration of a set that was read. It reports false where the
// pipeline does not have the back end.
func New(p translators.Pipeline, set *input.Set, settings input.Settings, t translators.Target) (*Migration, bool) {
	b, ok := p.Backend(t.Backend)
	if !ok {
		return nil, false
	}
	m := &Migration{pipeline: p, set: set, settings: settings, target: t, backend: b}
	m.units, m.found = p.Lower(input.NewStore(set, settings))
	return m, true
}

// Found returns what the front ends say of the input.
func (m *Migration) Found() report.Report { return m.found.Sorted() }

// authorization is the name of who writes access, or empty.
func (m *Migration) authorization() string { return m.target.Options[authorizationOption] }

// fromSMI reports whether a reference names an object of SMI.
func fromSMI(r report.Ref) bool { return strings.HasSuffix(r.Group, "smi-spec.io") }

// access reports whether a unit says who may call.
func access(u ir.Unit) bool { return u.Workload != nil || u.Namespace != nil }

// closed reports whether a unit denies anything.
func closed(u ir.Unit) bool {
	return u.Workload != nil && u.Workload.Enforced || u.Namespace != nil && u.Namespace.Enforced
}

// objects lists the objects of SMI, those in error included.
func (m *Migration) objects() []input.Object {
	all := slices.Concat(m.set.Objects, m.set.Rejected)
	return slices.DeleteFunc(all, func(o input.Object) bool { return !fromSMI(o.Ref("")) })
}

// claims lists what SMI objects ask for, with what becomes of it. What no field
// asks for is the same for every policy, but that the rest is denied.
func (m *Migration) claims() []feature.Claim {
	table := m.backend.Supports(m.target)
	var out []feature.Claim
	for _, u := range m.units {
		for _, c := range feature.Check(u, Target, table, nil).Uses {
			if spec := feature.SpecOf(c.Feature); fromSMI(c.Ref) && (!spec.Implicit() || c.Feature == feature.DefaultDeny) {
				out = append(out, c)
			}
		}
	}
	return out
}
