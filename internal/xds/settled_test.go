package xds

import (
	"testing"
	"time"

	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/anypb"
)

// httpManager has its routes from a table.
func httpManager(t *testing.T, routes string) *anypb.Any {
	t.Helper()
	m, err := anypb.New(&hcmv3.HttpConnectionManager{RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{RouteConfigName: routes}}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A proxy is settled when it has asked for all that it will want and has answered all
// that it was sent, endpoints aside. What it refused does not hold up what it did not.
func TestSettled(t *testing.T) {
	s := newStore()
	a := newActor(t, s, false, Options{})
	a.stream.since = a.now
	is := func(when string, want bool) {
		t.Helper()
		if got := a.stream.settled(a.now); got != want {
			t.Errorf("%s: settled is %t", when, got)
		}
	}
	a.put("cds c=eds", "eds c=1", "lds l=rds", "rds l=1")
	is("it came", false)
	a.ask("cds")
	a.want("cds c")
	is("clusters are under way", false)
	a.answer("cds", "")
	is("it has yet to ask for listeners", false)
	a.now = a.now.Add(time.Minute)
	is("it does not want any", true)
	a.now = a.now.Add(-time.Minute)
	a.ask("lds")
	a.now = a.now.Add(3 * time.Second) // it does not ask for endpoints either
	a.want("lds l")
	a.answer("lds", "")
	is("it has yet to ask for the routes of a listener", false)
	a.now = a.now.Add(time.Minute)
	is("it does not want them", true)
	a.now = a.now.Add(-time.Minute)
	a.ask("rds +l")
	a.want("rds l")
	is("routes are under way", false)
	a.answer("rds", "")
	is("it has everything", true)

	a.ask("eds +c")
	a.want("eds c")
	is("endpoints are under way", true)
	a.answer("eds", "")
	a.put("rds l=2")
	is("it is to have other routes", false)
	a.want("rds l")
	is("other routes are under way", false)
	a.stream.refuse(a.answer("rds", "l is bad"))
	is("it refuses them, which is said of them", true)
	if a.stream.inSync() {
		t.Error("it is in sync")
	}
	for range maxRefusals + 1 {
		a.stream.refuse(answer{nack: &Nack{}, kind: routes, of: []mark{{id: s.kinds[routes].ids["l"], hash: uint64(len(a.stream.refused))}}})
	}
	is("it refuses more than can be said", false)
	a.put("rds l=3")
	a.want("rds l")
	a.answer("rds", "")
	is("it has everything again", true)
}
