package smi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

func target1(d *decoder, w wireTarget1) *Target {
	sources := make([]wireAccount4, len(w.Sources))
	for i, s := range w.Sources {
		sources[i] = wireAccount4{wireAccount: s}
	}
	t := d.target(wireAccount4{wireAccount: w.Destination.wireAccount}, w.Specs, sources,
		&Target{RulesField: "specs", SourcesField: "sources"}, "destination")
	d.destinationPort(w.Destination.Port, t, "destination.port")
	return t
}

func target2(d *decoder, w wireTarget2) *Target {
	sources := make([]wireAccount4, len(w.Spec.Sources))
	for i, s := range w.Spec.Sources {
		sources[i] = wireAccount4{wireAccount: s}
	}
	t := d.target(wireAccount4{wireAccount: w.Spec.Destination.wireAccount}, w.Spec.Rules, sources, specTarget(), "spec.destination")
	d.destinationPort(w.Spec.Destination.Port, t, "spec.destination.port")
	return t
}

func target4(d *decoder, w wireTarget4) *Target {
	destination := wireAccount4{wireAccount: w.Spec.Destination.wireAccount, Group: w.Spec.Destination.Group}
	t := d.target(destination, w.Spec.Rules, w.Spec.Sources, specTarget(), "spec.destination")
	d.destinationPort(w.Spec.Destination.Port, t, "spec.destination.port")
	return t
}

func specTarget() *Target { return &Target{RulesField: "spec.rules", SourcesField: "spec.sources"} }

// target fills t, whose lists' fields are set. Rules and sources in error stay
// in the lists: to leave out one part of a rule would allow more.
func (d *decoder) target(destination wireAccount4, rules []wireRule, sources []wireAccount4, t *Target, field string) *Target {
	t.Destination = d.account(destination, field)
	for i, r := range rules {
		t.Rules = append(t.Rules, d.rule(r, input.Element(t.RulesField, i)))
	}
	for i, s := range sources {
		t.Sources = append(t.Sources, d.account(s, input.Element(t.SourcesField, i)))
	}
	return t
}

// account reads a source or destination; without a namespace it is of the
// TrafficTarget's own.
func (d *decoder) account(w wireAccount4, field string) Account {
	a := Account{Kind: w.Kind, Name: w.Name, Namespace: w.Namespace, Field: field}
	if a.Namespace == "" {
		a.Namespace = d.Namespace
	}
	allowed, group := []string{kindServiceAccount}, ""
	if d.Version == v1alpha4 {
		allowed = append(allowed, KindIdentityBinding)
	}
	if w.Kind == KindIdentityBinding {
		group = GroupAccess
	}
	switch {
	case w.Kind == "":
		d.require("", input.Field(field, "kind"), "the kind, such as "+kindServiceAccount+",")
	case !slices.Contains(allowed, w.Kind):
		d.errorf(report.BadKind, input.Field(field, "kind"), "write "+kindServiceAccount,
			"%s knows no accounts of kind %q", d.Version, w.Kind)
	case w.Group != "" && w.Group != group:
		d.errorf(report.BadKind, input.Field(field, "group"), "leave the group out", "%s is not of group %q", w.Kind, w.Group)
	}
	d.require(w.Name, input.Field(field, "name"), "the name of the account")
	return a
}

func (d *decoder) rule(w wireRule, field string) RouteRef {
	r := RouteRef{Group: GroupSpecs, Kind: w.Kind, Name: w.Name, Matches: w.Matches, AllMatches: len(w.Matches) == 0, Field: field}
	switch w.Kind {
	case KindHTTPRouteGroup, KindTCPRoute, KindUDPRoute:
	case "":
		d.require("", input.Field(field, "kind"), "the kind of the rule")
	default:
		d.errorf(report.BadKind, input.Field(field, "kind"), "write HTTPRouteGroup, TCPRoute or UDPRoute",
			"a rule is no %q", w.Kind)
	}
	d.require(w.Name, input.Field(field, "name"), "the name of the "+w.Kind)
	for i, m := range w.Matches {
		d.require(m, input.Element(input.Field(field, "matches"), i), "the name of the match")
	}
	return r
}

// destinationPort reads the port that v1alpha1 and v1alpha2 have. Written in a
// later version it would be ignored elsewhere, which allows every port.
func (d *decoder) destinationPort(raw json.RawMessage, t *Target, field string) {
	if absent(raw) {
		return
	}
	t.PortField = field
	if written, _ := text(raw); written != "" {
		if _, err := strconv.Atoi(written); err == nil { // quoted, as SMI's first releases wrote it
			raw = json.RawMessage(written)
		}
	}
	if n, ok := d.port(raw, field); ok {
		t.Port = n
	}
	if d.Version == v1alpha3 || d.Version == v1alpha4 {
		d.errorf(report.UnknownField, field,
			fmt.Sprintf("let a rule refer to a TCPRoute with matches: {ports: [%s]}", raw),
			"%s has no port here", d.Version)
	}
}

// port reads a port number.
func (d *decoder) port(raw json.RawMessage, field string) (int32, bool) {
	const highest = 65535
	if len(raw) == 0 || raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		d.errorf(report.WrongType, field, "write the number of a port", "found %s, expected a number", describe(raw))
		return 0, false
	}
	n, err := strconv.ParseInt(string(raw), 10, 32)
	if err != nil || n < 1 || n > highest {
		d.errorf(report.BadValue, field, "write a whole number from 1 to 65535", "there is no port %s", raw)
		return 0, false
	}
	return int32(n), true
}
