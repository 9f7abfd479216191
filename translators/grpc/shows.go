package grpc

import (
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/report"
)

// shows is how the rows that are not exact show themselves.
var shows = []feature.Shown{
	{Feature: feature.RoutePath, When: when(feature.CondPlainHTTP), Effect: report.Strays, On: feature.OnRawPath},
	{Feature: feature.RoutePath, When: when(feature.CondPlainHTTP), Effect: report.Fails, On: feature.OnRawPath},
	{Feature: feature.RoutePath, When: when(feature.CondPlainHTTP), Effect: report.Times, On: feature.OnRawPath},
	{Feature: feature.ProtocolSelection, When: when(feature.CondPathCondition), Effect: report.Strays, On: feature.OnRawPath},
	{Feature: feature.ProtocolSelection, When: when(feature.CondPathCondition), Effect: report.Fails, On: feature.OnRawPath},
	{Feature: feature.RouteMethod, Effect: report.Strays, On: feature.OnNotPost},
	{Feature: feature.RouteMethod, Effect: report.Fails, On: feature.OnNotPost},
	{Feature: feature.RouteHeader, Effect: report.Strays, On: feature.OnRepeatedHeader},
	{Feature: feature.RouteHeader, Effect: report.Fails, On: feature.OnRepeatedHeader},
	{Feature: feature.RouteTimeout, Effect: report.Times},
	{Feature: feature.PathNormalisation, Effect: report.Denies, On: feature.OnRawPath},
	{Feature: feature.PathNormalisation, Effect: report.Allows, On: feature.OnRawPath},
	{Feature: feature.AccessHeader, Effect: report.Denies, On: feature.OnComma},
	{Feature: feature.Probes, Effect: report.Denies, On: feature.OnProbe},
	{Feature: feature.UnreadyBackend, Effect: report.Denies, On: feature.OnNobody},
	{Feature: feature.Open, Effect: report.Denies, On: feature.OnPlainText},
	{Feature: feature.DefaultDeny, When: when(feature.CondTCP), Effect: report.Allows, On: feature.OnRaw},
	{Feature: feature.DefaultDeny, When: when(feature.CondUDP), Effect: report.Allows, On: feature.OnRaw},
	{Feature: feature.DefaultDeny, When: when(feature.CondTCP), Effect: report.Allows, On: feature.OnOtherPort},
	{Feature: feature.DefaultDeny, When: when(feature.CondUDP), Effect: report.Allows, On: feature.OnOtherPort},
	{Feature: feature.DefaultDeny, When: when(feature.CondPlainHTTP), Effect: report.Allows, On: feature.OnOtherPort},
	{Feature: feature.DefaultDeny, Effect: report.Allows, On: feature.OnOtherPort},
}

// shown is the table with what shows.
var shown = supports.Show(shows...)
