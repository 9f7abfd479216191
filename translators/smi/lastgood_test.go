package smi_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/smi"
)

func rejected(o input.Object) input.Object { o.Rejected = true; return o }

func of(kind string, value any) input.Object {
	return input.Object{ID: input.ID{Group: "x", Kind: kind, Namespace: "shop", Name: "a"}, Value: value, Annotations: map[string]string{"a": "b"}}
}

func an(name string) smi.Account {
	return smi.Account{Kind: "ServiceAccount", Namespace: "shop", Name: name, Field: "f"}
}

func rule(kind, name string, matches ...string) smi.RouteRef {
	return smi.RouteRef{Group: "g", Kind: kind, Name: name, Matches: matches, AllMatches: len(matches) == 0, Field: "f"}
}

func grant(port int32, rules []smi.RouteRef, sources ...string) *smi.Target {
	t := &smi.Target{Destination: an("web"), Port: port, Rules: rules}
	for _, s := range sources {
		t.Sources = append(t.Sources, an(s))
	}
	return t
}

// A TrafficTarget that is rejected allows what the last good allowed and it still has.
func TestLastGoodTarget(t *testing.T) {
	http, tcp := rule("HTTPRouteGroup", "h"), rule("TCPRoute", "t")
	named := func(m ...string) smi.RouteRef { return rule("HTTPRouteGroup", "n", m...) }
	list := func(r ...smi.RouteRef) []smi.RouteRef { return r }
	for _, test := range []struct {
		name           string
		was, now, want *smi.Target
	}{
		{"the same", grant(0, list(http), "a", "b"), grant(0, list(http), "a", "b"), grant(0, list(http), "a", "b")},
		{"a source less", grant(0, list(http), "a", "b"), grant(0, list(http), "b"), grant(0, list(http), "b")},
		{"a source more", grant(0, list(http), "a"), grant(0, list(http), "a", "b"), grant(0, list(http), "a")},
		{"no source is left", grant(0, list(http), "a"), grant(0, list(http), "b"), grant(0, list(http))},
		{"a rule less", grant(0, list(http, named("m")), "a"), grant(0, list(named("m")), "a"), grant(0, list(named("m")), "a")},
		{"a rule more", grant(0, list(http), "a"), grant(0, list(http, named("m")), "a"), grant(0, list(http), "a")},
		{"a match less", grant(0, list(named("m", "n")), "a"), grant(0, list(named("n")), "a"), grant(0, list(named("n")), "a")},
		{"no match is left", grant(0, list(named("m")), "a"), grant(0, list(named("n")), "a"), grant(0, nil, "a")},
		{"all matches, which a dialect may take for none", grant(0, list(named("m")), "a"), grant(0, list(named()), "a"), grant(0, nil, "a")},
		{"a condition less would allow more", grant(0, list(http, tcp), "a"), grant(0, list(http), "a"), grant(0, nil, "a")},
		{"a condition more", grant(0, list(http), "a"), grant(0, list(http, tcp), "a"), grant(0, list(http, tcp), "a")},
		{"a rule that cannot be read is no condition", grant(0, list(http), "a"), grant(0, list(http, rule("", "")), "a"), grant(0, list(http), "a")},
		{"a port more", grant(0, list(http), "a"), grant(80, list(http), "a"), grant(80, list(http), "a")},
		{"a port that is gone stays", grant(80, list(http), "a"), grant(0, list(http), "a"), grant(80, list(http), "a")},
		{"another port", grant(80, list(http), "a"), grant(81, list(http), "a"), grant(80, list(http))},
		{"nothing can be read", grant(0, list(http), "a"), nil, grant(0, nil)},
		{"no destination can be read", grant(0, list(http), "a"), &smi.Target{Sources: []smi.Account{an("a")}, Rules: list(http)}, grant(0, list(http), "a")},
	} {
		var value any
		if test.now != nil {
			value = test.now
		}
		last := of("TrafficTarget", test.was)
		before := *test.was
		got := smi.LastGood(last, rejected(of("TrafficTarget", value)))
		if !reflect.DeepEqual(got.Value, test.want) || got.Rejected {
			t.Errorf("%s: rejected %v, %+v, want %+v", test.name, got.Rejected, got.Value, test.want)
		}
		if !reflect.DeepEqual(before, *test.was) {
			t.Errorf("%s: the last good was changed", test.name)
		}
	}
	moved := grant(0, list(http), "a")
	moved.Destination = an("other")
	if got := smi.LastGood(of("TrafficTarget", grant(0, list(http), "a")), rejected(of("TrafficTarget", moved))); !got.Rejected {
		t.Error("what was granted to another destination is granted still")
	}
}

// Of the other kinds what both say is used, and a split stays as it was.
func TestLastGoodOthers(t *testing.T) {
	match := func(name, path, field string) smi.HTTPMatch {
		return smi.HTTPMatch{Name: name, PathRegex: path, Headers: []smi.Header{{Name: "h", Value: "v", Field: field}}, Field: field}
	}
	group := func(m ...smi.HTTPMatch) *smi.RouteGroup { return &smi.RouteGroup{Matches: m} }
	split := &smi.Split{Service: "web"}
	bind := func(account string) *smi.Binding { return &smi.Binding{Account: account, Field: account + "x"} }
	a, b := match("a", "/a", "0"), match("b", "/b", "1")
	for _, test := range []struct {
		name           string
		was, now, want any // want nil: what is rejected
	}{
		{"a split", split, &smi.Split{Service: "other"}, split},
		{"a split of which nothing can be read", split, nil, split},
		{"matches elsewhere", group(a, b), group(match("b", "/b", "7"), match("a", "/a", "8")), group(a, b)},
		{"a match is another", group(a, b), group(a, match("b", "/c", "1")), group(a)},
		{"a match is gone", group(a, b), group(b), group(b)},
		{"a match is new", group(a), group(a, b), group(a)},
		{"a match is there twice", group(a, b), group(a, a, b), group(b)},
		{"no match is left", group(a), group(b), nil},
		{"no group can be read", group(a), nil, nil},
		{"the same ports", &smi.PortRoute{Ports: []int32{80}, Field: "a"}, &smi.PortRoute{Ports: []int32{80}, Field: "b"}, &smi.PortRoute{Ports: []int32{80}, Field: "a"}},
		{"other ports", &smi.PortRoute{Ports: []int32{80}}, &smi.PortRoute{Ports: []int32{80, 81}}, nil},
		{"the same identity", bind("a"), &smi.Binding{Account: "a"}, bind("a")},
		{"another identity", bind("a"), bind("b"), nil},
	} {
		got := smi.LastGood(of("K", test.was), rejected(of("K", test.now)))
		if got.Rejected != (test.want == nil) || test.want != nil && !reflect.DeepEqual(got.Value, test.want) {
			t.Errorf("%s: rejected %v, %+v", test.name, got.Rejected, got.Value)
		}
	}
	good := of("K", split)
	if got := smi.LastGood(rejected(good), rejected(of("K", nil))); got.Value != nil {
		t.Error("what was rejected itself is no last good")
	}
	if got := smi.LastGood(good, of("K", group(a))); !reflect.DeepEqual(got, of("K", group(a))) {
		t.Error("what is good now is not itself")
	}
	other := rejected(of("K", nil))
	other.ID.Name = "b"
	if got := smi.LastGood(good, other); !got.Rejected {
		t.Error("another object is no last good")
	}
}

// What a decoder makes of an object that it rejects is read as far as it goes.
func TestLastGoodOfText(t *testing.T) {
	const text = `apiVersion: access.smi-spec.io/v1alpha3
kind: TrafficTarget
metadata: {name: web, namespace: shop}
spec:
  destination: {kind: ServiceAccount, name: web, namespace: shop}
  rules: [{kind: HTTPRouteGroup, name: web, matches: [a, b]}]
  sources: [{kind: ServiceAccount, name: edge, namespace: shop}, {kind: ServiceAccount, name: other, namespace: shop}]
`
	object := func(text string) input.Object {
		set, _ := input.ReadFiles([]input.File{{Name: "a.yaml", Data: []byte(text)}}, input.Options{Schemas: smi.Schemas()})
		return slices.Concat(set.Objects, set.Rejected)[0]
	}
	bad := strings.NewReplacer("[a, b]", "[b]", "name: edge,", "name: edge, colour: red,", "metadata:", "extra: 1\nmetadata:").Replace(text)
	bad = strings.Replace(bad, ", {kind: ServiceAccount, name: other, namespace: shop}", "", 1)
	got := smi.LastGood(object(text), object(bad))
	v := got.Value.(*smi.Target)
	if got.Rejected || len(v.Sources) != 1 || v.Sources[0].Name != "edge" || !slices.Equal(v.Rules[0].Matches, []string{"b"}) {
		t.Errorf("%+v", v)
	}
}
