package linkerd

import (
	f "github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/report"
)

// shows is how the rows that are not exact show themselves in both tables.
var shows = []f.Shown{
	{Feature: f.RoutePath, Effect: report.Strays, On: f.OnRawPath},
	{Feature: f.RoutePath, Effect: report.Fails, On: f.OnRawPath},
	{Feature: f.RoutePath, Effect: report.Edits, On: f.OnRawPath},
	{Feature: f.RoutePath, Effect: report.Times, On: f.OnRawPath},
	{Feature: f.RouteQuery, Effect: report.Strays, On: f.OnEncodedQuery},
	{Feature: f.RouteQuery, Effect: report.Fails, On: f.OnEncodedQuery},
	{Feature: f.RouteQuery, Effect: report.Strays, On: f.OnRepeatedQuery},
	{Feature: f.RouteQuery, Effect: report.Fails, On: f.OnRepeatedQuery},
	{Feature: f.RouteRedirect, When: when{f.CondRewritePath}, Effect: report.Fails, On: f.OnQuery},
	{Feature: f.RouteView, Effect: report.Strays, On: f.OnView},
	{Feature: f.RouteView, Effect: report.Fails, On: f.OnView},
	{Feature: f.RouteView, Effect: report.Edits, On: f.OnView},
	{Feature: f.RouteView, Effect: report.Times, On: f.OnView},
	{Feature: f.AccessHeader, Effect: report.Denies, On: f.OnNotASCII},
	{Feature: f.PathNormalisation, When: when{f.CondPathCondition}, Effect: report.Denies, On: f.OnRawPath},
	{Feature: f.PathNormalisation, When: when{f.CondPathCondition}, Effect: report.Denies, On: f.OnOddSegment},
	{Feature: f.Probes, Effect: report.Allows, On: f.OnProbe},
	{Feature: f.Probes, Effect: report.Denies, On: f.OnProbeAsSent},
}

// showsClosed is how those do where Linkerd denies what no Server speaks of, and
// showsOpen where it does not.
var (
	showsClosed = []f.Shown{
		{Feature: f.DefaultDeny, When: when{f.CondSelectorCatches}, Effect: report.Denies, On: f.OnOthers},
		{Feature: f.Open, Effect: report.Denies},
	}
	showsOpen = []f.Shown{
		{Feature: f.DefaultDeny, When: when{f.CondSelectorCatches, f.CondPlainHTTP}, Effect: report.Denies, On: f.OnOthers},
		{Feature: f.DefaultDeny, When: when{f.CondSelectorCatches, f.CondGRPC}, Effect: report.Denies, On: f.OnOthers},
		{Feature: f.DefaultDeny, When: when{f.CondSelectorCatches, f.CondTCP}, Effect: report.Denies, On: f.OnOthers},
		{Feature: f.DefaultDeny, When: when{f.CondSelectorCatches, f.CondPlainHTTP}, Effect: report.Allows, On: f.OnOtherPort},
		{Feature: f.DefaultDeny, When: when{f.CondSelectorCatches, f.CondGRPC}, Effect: report.Allows, On: f.OnOtherPort},
		{Feature: f.DefaultDeny, When: when{f.CondSelectorCatches, f.CondTCP}, Effect: report.Allows, On: f.OnOtherPort},
		{Feature: f.DefaultDeny, When: when{f.CondPlainHTTP}, Effect: report.Allows, On: f.OnOtherPort},
		{Feature: f.DefaultDeny, When: when{f.CondGRPC}, Effect: report.Allows, On: f.OnOtherPort},
		{Feature: f.DefaultDeny, When: when{f.CondTCP}, Effect: report.Allows, On: f.OnOtherPort},
	}
)
