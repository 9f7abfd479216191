package controller

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// spoken is a Lease as a replica writes it.
func spoken(name string, renewed int64, text string) *coordinationv1.Lease {
	at := metav1.NewMicroTime(time.Unix(renewed, 0))
	return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: fmt.Sprint(renewed), Annotations: map[string]string{proxiesKey: text}}, Spec: coordinationv1.LeaseSpec{RenewTime: &at}}
}

// Who is silent while this replica hears itself is believed no longer; while nobody can
// be heard everybody still is.
func TestVoices(t *testing.T) {
	heard := 0
	p := &peers{identity: "own", log: slog.New(slog.DiscardHandler), heard: func() { heard++ }, pace: usualPeerPace, news: make(chan struct{}, 1), others: map[string]voice{}}
	expect := func(when string, others int, known bool) {
		t.Helper()
		if got, k := p.accounts(); len(got) != others || k != known {
			t.Errorf("%s: %d are believed of %d, known: %t", when, len(got), others, k)
		}
	}
	beat := func(n int64) {
		p.due = true // it is written
		p.hear(spoken(p.name(), n, ""))
		p.hear(spoken(p.name(), n, "")) // no other beat
	}
	good, err := account{Proxies: []proxyGroup{{Backend: "envoy", InSync: true}}}.packed()
	if err != nil {
		t.Fatal(err)
	}
	expect("at first", 0, false)
	p.hear(spoken("a", 1, good))
	p.synced = true
	expect("one is heard", 1, true)
	p.hear(spoken("a", 1, good))
	if heard != 1 {
		t.Errorf("%d times something new was heard of the same", heard)
	}
	p.due = true
	expect("the API server is away", 1, true)
	beat(1)
	beat(2)
	p.hear(spoken("a", 1, good)) // as it is listed anew
	expect("it is silent for two beats", 1, true)
	beat(3)
	expect("for three", 0, true)
	p.hear(spoken("a", 2, good))
	expect("it is back", 1, true)
	p.hear(spoken("b", 1, "-"))
	expect("one is not understood", 2, false)
	p.miss(spoken("b", 1, "-"))
	expect("that is gone", 1, true)
	if len(p.news) != 0 {
		t.Error("it speaks though nothing is new")
	}
	p.miss(spoken(p.name(), 3, ""))
	if len(p.news) != 1 {
		t.Error("it was taken for gone, and is silent")
	}
}
