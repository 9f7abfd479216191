package feature

import (
	"fmt"
	"slices"

	"github.com/meshknot/meshknot/translators/report"
)

// Shown says how a row that is not exact shows itself when requests are
// decided. A difference between the model and a mesh that no row shows is an
// error; a row that is said to show itself and never does is a wrong claim.
// A row without one is about what no single decision can show, such as time,
// standing connections or unready endpoints.
type Shown struct {
	// Feature and When are those of the row.
	Feature Feature
	When    []Condition
	Effect  report.Effect
	// On limits the requests that show it; empty: any.
	On On
}

// On is a property of a request, without which an effect does not show.
type On string

// The properties.
const (
	// OnRawPath: the path as sent is not in its normal form.
	OnRawPath On = "raw-path"
	// OnRepeatedHeader: a header is sent in several lines.
	OnRepeatedHeader On = "repeated-header"
	// OnRepeatedQuery: a query parameter is sent several times.
	OnRepeatedQuery On = "repeated-query"
	// OnPlainText: the caller has no identity.
	OnPlainText On = "plain-text"
	// OnStraight: the pods are called at their own port, through no Service.
	OnStraight On = "straight"
	// OnRaw: no HTTP request is made.
	OnRaw On = "raw"
	// OnOtherPort: the pods are called at a port that the workload does not name.
	OnOtherPort On = "other-port"
	// OnProbe: the request is one that a declared probe of the workload makes.
	OnProbe On = "probe"
	// OnProbeAsSent: the request is one that a declared probe would make, were its
	// path in its normal form.
	OnProbeAsSent On = "probe-as-sent"
	// OnView: the caller is in a namespace that has routes of its own there, and
	// they say nothing of the request, or what is of another namespace decides.
	OnView On = "view"
	// OnOthers: what is called belongs to another unit than that of the row.
	OnOthers On = "others"
	// OnQuery: the request has a query.
	OnQuery On = "query"
	// OnUnrouted: nothing routes the Service anywhere but to itself.
	OnUnrouted On = "unrouted"
	// OnSlashes: the path as sent has two slashes in a row.
	OnSlashes On = "slashes"
	// OnOddSegment: a segment of the path begins with a dot, or holds an escape.
	OnOddSegment On = "odd-segment"
	// OnEncodedQuery: the query holds an escape, or a plus.
	OnEncodedQuery On = "encoded-query"
	// OnNotASCII: a header holds a character beyond ASCII.
	OnNotASCII On = "not-ascii"
	// OnNotPost: the method is another one than POST.
	OnNotPost On = "not-post"
	// OnComma: the value of a header holds a comma, or has several lines.
	OnComma On = "comma"
	// OnOtherHost: the host that is asked for is no name of the Service that is called.
	OnOtherHost On = "other-host"
	// OnNobody: no account is known behind a Service that is called.
	OnNobody On = "nobody"
	// OnBothAdd: a route and a backend of it add lines to one header of the answer.
	OnBothAdd On = "both-add"
	// OnBrace: there is a curly brace in the path.
	OnBrace On = "brace"
)

// Show returns the table with what shows attached to its rows. It panics where
// there is no such row, or an exact one: the table and what it shows are literals.
func (t Table) Show(shown ...Shown) Table {
	out := slices.Clone(t)
	for _, s := range shown {
		i := slices.IndexFunc(out, func(r Row) bool { return r.Feature == s.Feature && slices.Equal(r.When, s.When) })
		if i < 0 || out[i].Class == report.Exact {
			panic(fmt.Sprintf("%s %v shows %s, and there is no inexact row for it", s.Feature, s.When, s.Effect))
		}
		out[i].Shows = append(slices.Clone(out[i].Shows), s)
	}
	return out
}
