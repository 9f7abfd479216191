package envoy

import (
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/report"
)

// shows is how the rows that are not exact show themselves.
var shows = []feature.Shown{
	{Feature: feature.RoutePath, When: when(feature.CondBrace), Effect: report.Strays, On: feature.OnBrace},
	{Feature: feature.RoutePath, When: when(feature.CondBrace), Effect: report.Edits, On: feature.OnBrace},
	{Feature: feature.RoutePath, When: when(feature.CondBrace), Effect: report.Fails, On: feature.OnBrace},
	{Feature: feature.RoutePath, When: when(feature.CondBrace), Effect: report.Mirrors, On: feature.OnBrace},
	{Feature: feature.RoutePath, When: when(feature.CondBrace), Effect: report.Times, On: feature.OnBrace},
	{Feature: feature.AccessPath, When: when(feature.CondBrace), Effect: report.Denies, On: feature.OnBrace},
	{Feature: feature.RouteHeader, When: when(feature.CondInlineHeader), Effect: report.Strays, On: feature.OnRepeatedHeader},
	{Feature: feature.RouteHeader, When: when(feature.CondInlineHeader), Effect: report.Fails, On: feature.OnRepeatedHeader},
	{Feature: feature.RouteHeader, When: when(feature.CondInlineHeader), Effect: report.Edits, On: feature.OnRepeatedHeader},
	{Feature: feature.RouteHeader, When: when(feature.CondInlineHeader), Effect: report.Mirrors, On: feature.OnRepeatedHeader},
	{Feature: feature.RouteHeader, When: when(feature.CondInlineHeader), Effect: report.Times, On: feature.OnRepeatedHeader},
	{Feature: feature.AccessHeader, When: when(feature.CondInlineHeader), Effect: report.Denies, On: feature.OnComma},
	{Feature: feature.ProtocolSelection, Effect: report.Edits, On: feature.OnBrace},
	{Feature: feature.RouteTimeout, Effect: report.Times},
}

// shown is the table with what shows.
var shown = supports.Show(shows...)
