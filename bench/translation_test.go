package main

import (
	"strings"
	"testing"
)

// Two programs write the same routes in their own ways.
const (
	inOneWay = `{"a":[{"virtualHosts":[{"domains":["h0.example.com"],"routes":[
 {"match":{"path":"/api","headers":[{"name":":method","stringMatch":{"exact":"GET"}}]},"route":{"cluster":"c"}},
 {"match":{"prefix":"/api/","headers":[{"name":":method","stringMatch":{"exact":"GET"}}]},"route":{"cluster":"c"}},
 {"match":{"prefix":""},"directResponse":{"status":404}}]}]},
 {"clusterName":"c","endpoints":[{"lbEndpoints":[{"endpoint":{"address":{"socketAddress":{"address":"11.1.0.1","portValue":8080}}}}]}]}]}`
	inAnother = `{"xds":{"x":{"virtualHosts":[{"domains":["h0.example.com"],"routes":[
 {"match":{"pathSeparatedPrefix":"/api","headers":[{"name":":method","stringMatch":{"exact":"GET"}}]},"route":{"cluster":"other"}}]}]},
 "y":[{"clusterName":"other","endpoints":[{"lbEndpoints":[{"endpoint":{"address":{"socketAddress":{"address":"11.1.0.1","portValue":8080}}}}]}]}]}}`
)

func TestOutcome(t *testing.T) {
	a, err := outcome([]byte(inOneWay))
	if err != nil {
		t.Fatal(err)
	}
	b, err := outcome([]byte(inAnother))
	if err != nil {
		t.Fatal(err)
	}
	if want := "h0.example.com /api/** GET service 1.0.1"; strings.Join(a, "\n") != want {
		t.Errorf("the first is %q, want %q", a, want)
	}
	if err := a.equal(b); err != nil {
		t.Error(err)
	}
	for _, change := range []struct{ from, to string }{
		{"h0.example.com", "h1.example.com"}, {"/api", "/apis"}, {"GET", "PUT"}, {"11.1.0.1", "11.1.0.2"}, {"8080", "81"}, {"pathSeparatedPrefix", "prefix"},
	} {
		other, err := outcome([]byte(strings.ReplaceAll(inAnother, change.from, change.to)))
		if err != nil {
			t.Fatal(err)
		}
		if a.equal(other) == nil {
			t.Errorf("%s in place of %s is not seen", change.to, change.from)
		}
	}
}
