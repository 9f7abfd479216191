package consul

import (
	f "github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/report"
)

// shows is how the rows that are not exact show themselves in both tables.
var shows = []f.Shown{
	{Feature: f.RouteInvalidBackend, Effect: report.Fails},
	{Feature: f.RoutePath, Effect: report.Strays, On: f.OnRawPath},
	{Feature: f.RoutePath, Effect: report.Fails, On: f.OnRawPath},
	{Feature: f.RoutePath, Effect: report.Edits, On: f.OnRawPath},
	{Feature: f.RoutePath, Effect: report.Times, On: f.OnRawPath},
	{Feature: f.RouteHeader, Effect: report.Strays, On: f.OnRepeatedHeader},
	{Feature: f.RouteHeader, Effect: report.Edits, On: f.OnRepeatedHeader},
	{Feature: f.RouteHeader, Effect: report.Times, On: f.OnRepeatedHeader},
	{Feature: f.AccessHeader, Effect: report.Denies, On: f.OnRepeatedHeader},
	{Feature: f.AccessHeader, When: when{f.CondRegex}, Effect: report.Denies, On: f.OnComma},
	{Feature: f.RouteHeaderEdit, When: when{f.CondPerBackend}, Effect: report.Edits, On: f.OnBothAdd},
	{Feature: f.RouteStatus, When: when{f.CondStatus404}, Effect: report.Fails},
	{Feature: f.RouteStatus, Effect: report.Fails},
	{Feature: f.RouteRedirect, Effect: report.Fails},
	{Feature: f.Unmatched, Effect: report.Strays, On: f.OnOthers},
	{Feature: f.AccessSelector, When: when{f.CondMultiPort}, Effect: report.Denies},
	{Feature: f.AccessPath, When: when{f.CondBrace}, Effect: report.Denies},
	{Feature: f.ProtocolSelection, Effect: report.Fails, On: f.OnOthers},
	{Feature: f.ProtocolSelection, Effect: report.Edits, On: f.OnBrace},
	{Feature: f.ProtocolSelection, When: when{f.CondMultiPort}, Effect: report.Edits, On: f.OnBrace},
	{Feature: f.UnreadyBackend, Effect: report.Denies, On: f.OnNobody},
	{Feature: f.IdentityMapping, Effect: report.Denies, On: f.OnOthers},
	{Feature: f.Timeouts, Effect: report.Times, On: f.OnUnrouted},
	{Feature: f.Probes, Effect: report.Denies, On: f.OnPlainText},
}

// showsDenying and showsAllowing are how those do that depend on the agents.
var (
	showsDenying = []f.Shown{
		{Feature: f.Open, Effect: report.Denies},
	}
	showsAllowing = []f.Shown{
		{Feature: f.Open, Effect: report.Denies, On: f.OnPlainText},
		{Feature: f.Open, Effect: report.Denies, On: f.OnOtherPort},
	}
)
