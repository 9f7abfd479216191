package smi

import "testing"

func TestRouteGroup(t *testing.T) {
	const (
		old  = "metadata: {name: r}\nkind: HTTPRouteGroup\napiVersion: specs.smi-spec.io/"
		spec = old + "v1alpha4\nspec:\n  matches:\n"
		at   = "spec.matches[0]"
	)
	one := func(m HTTPMatch) *RouteGroup { return &RouteGroup{Matches: []HTTPMatch{m}} }
	tests := []struct {
		name, text string
		found      []string
		want       *RouteGroup
	}{
		{"v1alpha1", old + "v1alpha1\nmatches: [{name: m, pathRegex: /m, methods: [GET, '*']}]", nil,
			one(HTTPMatch{Name: "m", PathRegex: "/m", Methods: []string{"GET", "*"}, Field: "matches[0]"})},
		{"v1alpha2", old + "v1alpha2\nmatches: [{name: m, headers: [{X-A: a}]}]", nil,
			one(HTTPMatch{Name: "m", Field: "matches[0]", Headers: []Header{{"x-a", "a", "matches[0].headers[0].X-A"}}})},
		{"v1alpha3", old + "v1alpha3\nspec: {matches: [{name: m, pathRegex: ''}]}", nil, one(HTTPMatch{Name: "m", Field: at})},
		{"headers as a list keep its order", spec + "  - {name: m, headers: [{z: '1'}, {a: '2'}]}", nil,
			one(HTTPMatch{Name: "m", Field: at, Headers: []Header{{"z", "1", at + ".headers[0].z"}, {"a", "2", at + ".headers[1].a"}}})},
		{"several keys in an item are sorted", spec + "  - {name: m, headers: [{z: '1', b: '2'}, {a: '3'}]}", nil,
			one(HTTPMatch{Name: "m", Field: at, Headers: []Header{{"b", "2", at + ".headers[0].b"}, {"z", "1", at + ".headers[0].z"}, {"a", "3", at + ".headers[1].a"}}})},
		{"headers as an object", spec + "  - {name: m, headers: {z: '1', a: '', ':authority': x}}", nil,
			one(HTTPMatch{Name: "m", Field: at, Headers: []Header{{":authority", "x", at + `.headers[":authority"]`}, {"a", "", at + ".headers.a"}, {"z", "1", at + ".headers.z"}}})},
		{"the order of keys means nothing", spec + "  - {name: m, headers: {f: '', c: '', a: '', e: '', b: '', d: ''}}", nil,
			one(HTTPMatch{Name: "m", Field: at, Headers: []Header{{"a", "", at + ".headers.a"}, {"b", "", at + ".headers.b"}, {"c", "", at + ".headers.c"},
				{"d", "", at + ".headers.d"}, {"e", "", at + ".headers.e"}, {"f", "", at + ".headers.f"}}})},
		{"no headers", spec + "  - {name: m, headers: []}", nil, one(HTTPMatch{Name: "m", Field: at})},
		{"numeric header value", spec + "  - {name: m, headers: {x-debug: 1}}", []string{"error MK1003 " + at + ".headers.x-debug"}, one(HTTPMatch{Name: "m", Field: at})},
		{"headers as text", spec + "  - {name: m, headers: 'x: y'}", []string{"error MK1003 " + at + ".headers"}, one(HTTPMatch{Name: "m", Field: at})},
		{"an item that is no map", spec + "  - {name: m, headers: [x]}", []string{"error MK1003 " + at + ".headers[0]"}, one(HTTPMatch{Name: "m", Field: at})},
		{"header names", spec + "  - {name: m, headers: {'': a, 'a b': c}}",
			[]string{"error MK1014 " + at + `.headers[""]`, "error MK1014 " + at + `.headers["a b"]`}, one(HTTPMatch{Name: "m", Field: at})},
		{"one header twice", spec + "  - {name: m, headers: [{X-A: a}, {x-a: b}]}", []string{"error MK2018 " + at + ".headers[1].x-a"},
			one(HTTPMatch{Name: "m", Field: at, Headers: []Header{{"x-a", "a", at + ".headers[0].X-A"}, {"x-a", "b", at + ".headers[1].x-a"}}})},
		{"an item of name and value", spec + "  - {name: m, headers: [{name: x-beta, value: 'yes'}]}", []string{"warning MK1014 " + at + ".headers[0]"},
			one(HTTPMatch{Name: "m", Field: at, Headers: []Header{{"name", "x-beta", at + ".headers[0].name"}, {"value", "yes", at + ".headers[0].value"}}})},
		{"methods", spec + "  - {name: m, methods: [GET, get, FETCH]}", []string{"error MK2019 " + at + ".methods[1]", "error MK2019 " + at + ".methods[2]"},
			one(HTTPMatch{Name: "m", Methods: []string{"GET", "get", "FETCH"}, Field: at})},
		{"names", spec + "  - {pathRegex: /a}\n  - {name: b}\n  - {name: b}", []string{"error MK2014 " + at + ".name", "error MK2014 spec.matches[2].name"},
			&RouteGroup{Matches: []HTTPMatch{{PathRegex: "/a", Field: at}, {Name: "b", Field: "spec.matches[1]"}, {Name: "b", Field: "spec.matches[2]"}}}},
		{"nothing", old + "v1alpha4", []string{"error MK1004 spec.matches"}, &RouteGroup{}},
		{"an empty list", old + "v1alpha2\nmatches: []", []string{"error MK1004 matches"}, &RouteGroup{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, found := decodeText(t, tt.text)
			checkValue(t, v, tt.want)
			checkSaid(t, found, tt.found...)
		})
	}
}

func TestPortRoute(t *testing.T) {
	const tcp = "kind: TCPRoute\nmetadata: {name: r}\napiVersion: specs.smi-spec.io/"
	const ports = "spec.matches.ports"
	all := &PortRoute{AllPorts: true, Field: ports}
	tests := []struct {
		name, text string
		found      []string
		want       *PortRoute
	}{
		{"v1alpha1", tcp + "v1alpha1", nil, &PortRoute{AllPorts: true}},
		{"v1alpha2", tcp + "v1alpha2", nil, &PortRoute{AllPorts: true}},
		{"v1alpha3", tcp + "v1alpha3\nspec: {}", nil, &PortRoute{AllPorts: true}},
		{"ports", tcp + "v1alpha4\nspec: {matches: {name: db, ports: [3306, 6446]}}", nil, &PortRoute{Name: "db", Ports: []int32{3306, 6446}, Field: ports}},
		{"udp", "kind: UDPRoute\nmetadata: {name: r}\napiVersion: specs.smi-spec.io/v1alpha4\nspec: {matches: {ports: [53]}}", nil, &PortRoute{Ports: []int32{53}, Field: ports}},
		{"an empty list is all ports", tcp + "v1alpha4\nspec: {matches: {ports: []}}", nil, all},
		{"so is no list", tcp + "v1alpha4\nspec: {matches: {name: x}}", nil, &PortRoute{Name: "x", AllPorts: true, Field: ports}},
		{"an empty spec", tcp + "v1alpha4\nspec: {}", []string{"info MK1004 spec"}, &PortRoute{AllPorts: true, Field: "spec"}},
		{"matches as a list", tcp + "v1alpha4\nspec: {matches: [{ports: [1]}]}", []string{"error MK1003 spec.matches"}, &PortRoute{Field: "spec.matches"}},
		{"unknown field", tcp + "v1alpha4\nspec: {matches: {port: 80}}", []string{"error MK1002 spec.matches.port"}, all},
		{"name of the wrong type", tcp + "v1alpha4\nspec: {matches: {name: 1, ports: []}}", []string{"error MK1003 spec.matches.name"}, all},
		{"ports of the wrong type", tcp + "v1alpha4\nspec: {matches: {ports: 80}}", []string{"error MK1003 " + ports}, &PortRoute{Field: ports}},
		{"bad ports open nothing", tcp + "v1alpha4\nspec: {matches: {ports: [0, 65536, 1.5, -1, '80', null]}}",
			[]string{"error MK1014 " + ports + "[0]", "error MK1014 " + ports + "[1]", "error MK1014 " + ports + "[2]", "error MK1014 " + ports + "[3]",
				"error MK1003 " + ports + "[4]", "error MK1003 " + ports + "[5]"}, &PortRoute{Field: ports}},
		{"the first and the last port", tcp + "v1alpha4\nspec: {matches: {ports: [1, 65535]}}", nil, &PortRoute{Ports: []int32{1, 65535}, Field: ports}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, found := decodeText(t, tt.text)
			checkValue(t, v, tt.want)
			checkSaid(t, found, tt.found...)
		})
	}
}
