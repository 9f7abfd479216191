package smi

import "testing"

func sa(name, namespace, field string) Account {
	return Account{Kind: "ServiceAccount", Name: name, Namespace: namespace, Field: field}
}

func TestTarget(t *testing.T) {
	const (
		head = "kind: TrafficTarget\nmetadata: {name: t}\napiVersion: access.smi-spec.io/"
		v2   = head + "v1alpha2\nspec:\n  rules: [{kind: TCPRoute, name: r}]\n  sources: [{kind: ServiceAccount, name: a}]\n  destination: "
		v3   = head + "v1alpha3\nspec:\n  rules: [{kind: TCPRoute, name: r}]\n  sources: [{kind: ServiceAccount, name: a}]\n  destination: "
		v4   = head + "v1alpha4\nspec:\n  rules: [{kind: TCPRoute, name: r}]\n  sources: [{kind: IdentityBinding, group: access.smi-spec.io, name: a}]\n  destination: "
		dest = "spec.destination"
	)
	to := func(destination Account, port int32, portField string) *Target {
		return &Target{Destination: destination, Port: port, PortField: portField,
			Rules:      []RouteRef{{Group: GroupSpecs, Kind: "TCPRoute", Name: "r", AllMatches: true, Field: "spec.rules[0]"}},
			RulesField: "spec.rules", Sources: []Account{sa("a", "shop", "spec.sources[0]")}, SourcesField: "spec.sources"}
	}
	bound := func(destination Account) *Target {
		x := to(destination, 0, "")
		x.Sources[0].Kind = "IdentityBinding"
		return x
	}
	tests := []struct {
		name, text string
		found      []string
		want       *Target
	}{
		{"v1alpha1", head + `v1alpha1
destination: {kind: ServiceAccount, name: b, namespace: other, port: 8080}
specs: [{kind: HTTPRouteGroup, name: g, matches: [x, z]}, {kind: UDPRoute, name: u}]
sources: [{kind: ServiceAccount, name: a}, {kind: ServiceAccount, name: c, namespace: far}]`, nil,
			&Target{Destination: sa("b", "other", "destination"), Port: 8080, PortField: "destination.port",
				Rules: []RouteRef{{GroupSpecs, "HTTPRouteGroup", "g", []string{"x", "z"}, false, "specs[0]"}, {GroupSpecs, "UDPRoute", "u", nil, true, "specs[1]"}}, RulesField: "specs",
				Sources: []Account{sa("a", "shop", "sources[0]"), sa("c", "far", "sources[1]")}, SourcesField: "sources"}},
		{"v1alpha1 with a quoted port", head + "v1alpha1\ndestination: {kind: ServiceAccount, name: b, port: '9091'}", nil,
			&Target{Destination: sa("b", "shop", "destination"), Port: 9091, PortField: "destination.port", RulesField: "specs", SourcesField: "sources"}},
		{"v1alpha2 without a port", v2 + "{kind: ServiceAccount, name: b}", nil, to(sa("b", "shop", dest), 0, "")},
		{"v1alpha2 with a port", v2 + "{kind: ServiceAccount, name: b, port: 80}", nil, to(sa("b", "shop", dest), 80, dest+".port")},
		{"port out of bounds", v2 + "{kind: ServiceAccount, name: b, port: 65536}", []string{"error MK1014 " + dest + ".port"}, to(sa("b", "shop", dest), 0, dest+".port")},
		{"port 0", v2 + "{kind: ServiceAccount, name: b, port: 0}", []string{"error MK1014 " + dest + ".port"}, to(sa("b", "shop", dest), 0, dest+".port")},
		{"a port's name", v2 + "{kind: ServiceAccount, name: b, port: http}", []string{"error MK1003 " + dest + ".port"}, to(sa("b", "shop", dest), 0, dest+".port")},
		{"an empty port", v2 + "{kind: ServiceAccount, name: b, port: ''}", []string{"error MK1003 " + dest + ".port"}, to(sa("b", "shop", dest), 0, dest+".port")},
		{"v1alpha3", v3 + "{kind: ServiceAccount, name: b, namespace: far}", nil, to(sa("b", "far", dest), 0, "")},
		{"v1alpha3 has no port", v3 + "{kind: ServiceAccount, name: b, port: 80}", []string{"error MK1002 " + dest + ".port"}, to(sa("b", "shop", dest), 80, dest+".port")},
		{"v1alpha3 has no bindings", v3 + "{kind: IdentityBinding, name: b}", []string{"error MK2027 " + dest + ".kind"},
			to(Account{"IdentityBinding", "b", "shop", dest}, 0, "")},
		{"v1alpha4", v4 + "{kind: IdentityBinding, name: b}", nil, bound(Account{"IdentityBinding", "b", "shop", dest})},
		{"v1alpha4 with a group", v4 + "{kind: ServiceAccount, group: rbac.authorization.k8s.io, name: b}", []string{"error MK2027 " + dest + ".group"}, bound(sa("b", "shop", dest))},
		{"v1alpha4 has no port either", v4 + "{kind: ServiceAccount, name: b, port: '80'}", []string{"error MK1002 " + dest + ".port"},
			func() *Target { x := bound(sa("b", "shop", dest)); x.Port, x.PortField = 80, dest+".port"; return x }()},
		{"a kind that is nobody", v2 + "{kind: Group, name: b}", []string{"error MK2027 " + dest + ".kind"}, to(Account{"Group", "b", "shop", dest}, 0, "")},
		{"a destination without anything", v3 + "{}", []string{"error MK1004 " + dest + ".kind", "error MK1004 " + dest + ".name"}, to(Account{"", "", "shop", dest}, 0, "")},
		{"rules that are none stay, so that nothing is allowed", head + `v1alpha3
spec:
  destination: {kind: ServiceAccount, name: b}
  rules: [{kind: HTTPRoute, name: g, matches: ['']}, {kind: HTTPRouteGroup, matches: []}, {name: x}]`,
			[]string{"error MK2027 spec.rules[0].kind", "error MK1004 spec.rules[0].matches[0]", "error MK1004 spec.rules[1].name", "error MK1004 spec.rules[2].kind"},
			&Target{Destination: sa("b", "shop", dest), RulesField: "spec.rules", SourcesField: "spec.sources", Rules: []RouteRef{
				{GroupSpecs, "HTTPRoute", "g", []string{""}, false, "spec.rules[0]"},
				{GroupSpecs, "HTTPRouteGroup", "", []string{}, true, "spec.rules[1]"}, {GroupSpecs, "", "x", nil, true, "spec.rules[2]"}}}},
		{"what does not fit its type hides nothing else", head + "v1alpha3\nspec: {destination: {kind: ServiceAccount, name: b}, sources: everyone, rules: 1}", nil,
			&Target{Destination: sa("b", "shop", dest), RulesField: "spec.rules", SourcesField: "spec.sources"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, found := decodeText(t, tt.text)
			checkValue(t, v, tt.want)
			checkSaid(t, found, tt.found...)
		})
	}
}

func TestTargetPortHint(t *testing.T) {
	_, found := decodeText(t, "kind: TrafficTarget\nmetadata: {name: t}\napiVersion: access.smi-spec.io/v1alpha3\nspec: {destination: {kind: ServiceAccount, name: b, port: 80}}")
	if want := "let a rule refer to a TCPRoute with matches: {ports: [80]}"; len(found) != 1 || found[0].Hint != want {
		t.Errorf("got %+v, want hint %q", found, want)
	}
}

func TestBinding(t *testing.T) {
	const head = "kind: IdentityBinding\nmetadata: {name: b}\napiVersion: access.smi-spec.io/v1alpha4\nspec: {schemes: "
	const at = "spec.schemes"
	tests := []struct {
		name, schemes string
		found         []string
		want          *Binding
	}{
		{"identities with and without scheme", "{spiffeIdentities: [spiffe://td/b, td/a, td/b]}}", nil, &Binding{SPIFFE: []string{"spiffe://td/a", "spiffe://td/b"}, Field: at}},
		{"an account", "{serviceAccount: a, spiffeIdentities: [td/a]}}", nil, &Binding{Account: "a", SPIFFE: []string{"spiffe://td/a"}, Field: at}},
		{"labels", "{podLabelSelector: {matchLabels: {app: a}}}}", nil, &Binding{PodLabels: map[string]string{"app": "a"}, Field: at}},
		{"labels and an account", "{podLabelSelector: {matchLabels: {app: a}}, serviceAccount: b}}", []string{"error MK1014 " + at + ".podLabelSelector"},
			&Binding{PodLabels: map[string]string{"app": "a"}, Account: "b", Field: at}},
		{"a selector of everything", "{podLabelSelector: {}}}", []string{"error MK1014 " + at + ".podLabelSelector"}, &Binding{Field: at}},
		{"nobody", "{}}", []string{"error MK1004 " + at}, &Binding{Field: at}},
		{"what is no identity", "{spiffeIdentities: ['https://td/a', 'td', '', 'td/a/', 'td//a', 'td/a%2Fb', 'td/a?b', 'td/../a', 'TD/a', 'td:1/a', td/ok]}}",
			[]string{"error MK1014 " + at + ".spiffeIdentities[0]", "error MK1014 " + at + ".spiffeIdentities[1]", "error MK1014 " + at + ".spiffeIdentities[2]",
				"error MK1014 " + at + ".spiffeIdentities[3]", "error MK1014 " + at + ".spiffeIdentities[4]", "error MK1014 " + at + ".spiffeIdentities[5]",
				"error MK1014 " + at + ".spiffeIdentities[6]", "error MK1014 " + at + ".spiffeIdentities[7]", "error MK1014 " + at + ".spiffeIdentities[8]",
				"error MK1014 " + at + ".spiffeIdentities[9]"}, &Binding{SPIFFE: []string{"spiffe://td/ok"}, Field: at}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, found := decodeText(t, head+tt.schemes)
			checkValue(t, v, tt.want)
			checkSaid(t, found, tt.found...)
		})
	}
}
