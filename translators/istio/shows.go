package istio

import (
	f "github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/report"
)

// shows is how the rows that are not exact show themselves, in every table.
var shows = []f.Shown{
	{Feature: f.RoutePath, Effect: report.Strays, On: f.OnSlashes},
	{Feature: f.RoutePath, Effect: report.Fails, On: f.OnSlashes},
	{Feature: f.RoutePath, Effect: report.Edits, On: f.OnSlashes},
	{Feature: f.RoutePath, Effect: report.Mirrors, On: f.OnSlashes},
	{Feature: f.RoutePath, Effect: report.Times, On: f.OnSlashes},
	{Feature: f.RoutePath, When: when{f.CondBrace}, Effect: report.Strays},
	{Feature: f.RoutePath, When: when{f.CondBrace}, Effect: report.Edits},
	{Feature: f.RoutePath, When: when{f.CondBrace}, Effect: report.Fails, On: f.OnBrace},
	{Feature: f.RoutePath, When: when{f.CondBrace}, Effect: report.Mirrors, On: f.OnBrace},
	{Feature: f.RoutePath, When: when{f.CondBrace}, Effect: report.Times, On: f.OnBrace},
	{Feature: f.RouteHeader, When: when{f.CondHostHeader}, Effect: report.Strays},
	{Feature: f.RouteHeader, When: when{f.CondHostHeader}, Effect: report.Fails, On: f.OnOtherHost},
	{Feature: f.RouteHeader, When: when{f.CondHostHeader}, Effect: report.Edits, On: f.OnOtherHost},
	{Feature: f.RouteHeader, When: when{f.CondHostHeader}, Effect: report.Mirrors, On: f.OnOtherHost},
	{Feature: f.RouteHeader, When: when{f.CondHostHeader}, Effect: report.Times, On: f.OnOtherHost},
	{Feature: f.ProtocolSelection, Effect: report.Strays, On: f.OnOtherHost},
	{Feature: f.ProtocolSelection, Effect: report.Fails, On: f.OnOtherHost},
	{Feature: f.ProtocolSelection, Effect: report.Edits, On: f.OnOtherHost},
	{Feature: f.ProtocolSelection, Effect: report.Mirrors, On: f.OnOtherHost},
	{Feature: f.ProtocolSelection, Effect: report.Times, On: f.OnOtherHost},
	{Feature: f.ProtocolSelection, Effect: report.Edits, On: f.OnBrace},
	{Feature: f.RouteTimeout, When: when{f.CondPerTry}, Effect: report.Times},
	{Feature: f.DefaultDeny, When: when{f.CondSelectorCatches}, Effect: report.Denies, On: f.OnOthers},
	{Feature: f.PathNormalisation, When: when{f.CondPathCondition}, Effect: report.Denies, On: f.OnSlashes},
	{Feature: f.Probes, Effect: report.Denies, On: f.OnPlainText},
}

// showsNewest is how those do that hold from 1.31 on alone.
var showsNewest = []f.Shown{
	{Feature: f.AccessHeader, When: when{f.CondInlineHeader}, Effect: report.Denies, On: f.OnRepeatedHeader},
	{Feature: f.RouteHeader, When: when{f.CondInlineHeader}, Effect: report.Strays, On: f.OnRepeatedHeader},
	{Feature: f.RouteHeader, When: when{f.CondInlineHeader}, Effect: report.Fails, On: f.OnRepeatedHeader},
	{Feature: f.RouteHeader, When: when{f.CondInlineHeader}, Effect: report.Edits, On: f.OnRepeatedHeader},
	{Feature: f.RouteHeader, When: when{f.CondInlineHeader}, Effect: report.Mirrors, On: f.OnRepeatedHeader},
	{Feature: f.RouteHeader, When: when{f.CondInlineHeader}, Effect: report.Times, On: f.OnRepeatedHeader},
}

// showsOlder is how those do that hold before 1.31 alone.
var showsOlder = []f.Shown{
	{Feature: f.AccessHeader, Effect: report.Denies, On: f.OnRepeatedHeader},
	{Feature: f.RouteHeader, Effect: report.Strays, On: f.OnRepeatedHeader},
	{Feature: f.RouteHeader, Effect: report.Denies, On: f.OnRepeatedHeader},
	{Feature: f.RouteHeader, Effect: report.Fails, On: f.OnRepeatedHeader},
	{Feature: f.RouteHeader, Effect: report.Edits, On: f.OnRepeatedHeader},
	{Feature: f.RouteHeader, Effect: report.Mirrors, On: f.OnRepeatedHeader},
	{Feature: f.RouteHeader, Effect: report.Times, On: f.OnRepeatedHeader},
}
