package faults

import (
	"fmt"
	"testing"

	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/test/lab"
)

// step is one of the things that users do.
type step struct {
	name string
	do   func(*world)
}

// script is a life: it begins and ends with nothing.
var script = []step{
	{"binding and policies applied", func(w *world) {
		for _, o := range []lab.Object{bound(binding, onIstio), group("GET"), target(), split(90)} {
			w.must(w.Apply(o))
		}
	}},
	{"policies edited", func(w *world) {
		w.must(w.Apply(split(30)))
		w.must(w.Apply(group("GET", "HEAD")))
	}},
	{"binding switched", func(w *world) { w.must(w.Apply(bound(binding, onGateway))) }},
	{"source deleted", func(w *world) { w.must(w.Delete(split(1))) }},
	{"all deleted", func(w *world) {
		for _, o := range []lab.Object{bound(binding, onIstio), target(), group()} {
			w.must(w.Delete(o))
		}
	}},
}

// said reports whether the controller has said of everything that it is in force,
// as it is now.
func (w *world) said() (bool, any) {
	generation := func(o lab.Object) int64 {
		now, err := w.Get(o)
		if err != nil {
			return 0
		}
		n, _ := cluster.Dig(now, "metadata", "generation").(float64)
		return int64(n)
	}
	mesh := bound(binding, onIstio)
	if generation(mesh) == 0 {
		list, err := w.List("meshknot.io/v1alpha1", "TranslationReport", "")
		return err == nil && len(list) == 0, list
	}
	o, err := w.Get(mesh)
	if err != nil {
		return false, err
	}
	if n, _ := cluster.Dig(o, "status", "observedGeneration").(float64); int64(n) != generation(mesh) {
		return false, o
	}
	if state, message := w.condition(binding, "Programmed"); state != "True/Programmed" {
		return false, state + ": " + message
	}
	for _, r := range []struct {
		group string
		o     lab.Object
	}{{splitGroup, split(1)}, {specsGroup, group()}, {accessGroup, target()}} {
		meta := r.o["metadata"].(lab.Object)
		said := w.Report(r.group, r.o["kind"].(string), shop, meta["name"].(string), binding)
		if n := generation(r.o); n != said.Generation || n > 0 && said.Conditions["Accepted"] != "True/Accepted" {
			return false, said
		}
	}
	return true, nil
}

// Whichever write of the script is the last one of a process, the next process comes
// to what one that lived on came to, and leaves nothing over.
func TestKilledBetweenWrites(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.KubeOptions{}, everything...)
	kinds := w.written()
	r := w.replica("--roles=writer")
	want := map[string]state{}
	for _, s := range script {
		before := len(w.gate.written(""))
		s.do(w)
		w.eventually("end of: "+s.name, w.said)
		w.barrier()
		want[s.name] = w.snapshot(kinds)
		w.barrier()
		w.becomes("rest after: "+s.name, kinds, want[s.name])
		t.Logf("%s: %d writes", s.name, len(w.gate.written(""))-before)
	}
	if left := want[script[len(script)-1].name]; len(left) > 0 {
		t.Fatalf("an undisturbed run leaves something: %s", left.text())
	}
	kills := 0
	for n := 0; ; n++ {
		killed := 0
		for _, late := range []bool{false, true} {
			for _, s := range script {
				if w.killed(&r, s, n, late, kinds, want[s.name]) {
					killed++
				}
			}
		}
		if kills += killed; killed == 0 {
			break
		}
	}
	t.Logf("%d kills", kills)
	if kills < 80 {
		t.Errorf("the controller was killed %d times only: is the gate asked?", kills)
	}
	w.barrier()
	w.becomes("nothing in the end", kinds, state{})
	if f := w.gate.forbidden(0); len(f) > 0 {
		t.Errorf("not allowed: %v", f)
	}
}

// killed does a step, at the n-th write of which the controller is killed; another one
// is started then, and has to come to what is wanted. It reports whether there was an
// n-th write.
func (w *world) killed(r **cluster.Controller, s step, n int, late bool, kinds []listed, want state) (killed bool) {
	w.Helper()
	dead := w.gate.killAt(n, late, *r)
	s.do(w)
	what := fmt.Sprintf("same end of %q after a kill at write %d (late: %v)", s.name, n, late)
	w.eventually(what, func() (bool, any) {
		select {
		case <-dead:
			return true, nil
		default:
		}
		d := w.differs(kinds, want)
		return d == "", d
	})
	killed = w.gate.spare()
	if killed {
		w.gate.revive()
		*r = w.replica("--roles=writer")
	}
	w.becomes(what, kinds, want)
	return killed
}
