package faults

import (
	"encoding/json"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/test/lab"
)

// listed is a kind whose objects are part of the state that is compared.
type listed struct{ version, kind string }

// written are the kinds that the controller writes, as far as they are defined: of
// its sinks, its reports, the bindings that it annotates, and the objects whose
// conditions it sets.
func (w *world) written() []listed {
	var out []listed
	for _, k := range sink.Kinds("istio", "gateway-api") {
		out = append(out, listed{k.GroupVersion().String(), k.Kind})
	}
	out = append(out, listed{"meshknot.io/v1alpha1", "TranslationReport"}, listed{"meshknot.io/v1alpha1", "MeshBinding"},
		listed{splitGroup + "/v1alpha4", "TrafficSplit"}, listed{specsGroup + "/v1alpha4", "HTTPRouteGroup"}, listed{accessGroup + "/v1alpha3", "TrafficTarget"})
	var served []listed
	for _, k := range out {
		if _, err := w.List(k.version, k.kind, ""); err == nil {
			served = append(served, k)
		}
	}
	return served
}

// state is everything that the controller wrote, by kind and name, without what is
// different every time.
type state map[string]any

// of reads the objects of a kind.
func (w *world) of(k listed) (state, error) {
	list, err := w.List(k.version, k.kind, "")
	if err != nil {
		return nil, err
	}
	out := state{}
	for _, o := range list {
		meta := o["metadata"].(lab.Object)
		out[k.version+"/"+k.kind+" "+name(meta)] = plain(o)
	}
	return out, nil
}

func name(meta lab.Object) string {
	namespace, _ := meta["namespace"].(string)
	return namespace + "/" + meta["name"].(string)
}

// plain leaves out of an object what tells when and by how many writes it came about:
// times, versions, who owns which field since when, and identities.
func plain(o lab.Object) any {
	meta := o["metadata"].(lab.Object)
	for _, key := range []string{"uid", "resourceVersion", "creationTimestamp", "managedFields"} {
		delete(meta, key)
	}
	if labels, _ := meta["labels"].(lab.Object); labels[sink.ManagedByLabel] == sink.ManagedBy {
		delete(meta, "generation")
	}
	timeless(o)
	return o
}

func timeless(v any) {
	switch v := v.(type) {
	case lab.Object:
		delete(v, "lastTransitionTime")
		if _, ok := v["uid"]; ok {
			v["uid"] = "some"
		}
		for _, below := range v {
			timeless(below)
		}
	case []any:
		for _, below := range v {
			timeless(below)
		}
	}
}

// snapshot reads all of the state.
func (w *world) snapshot(kinds []listed) state {
	w.Helper()
	out := state{}
	for _, k := range kinds {
		part, err := w.of(k)
		w.must(err)
		for at, o := range part {
			out[at] = o
		}
	}
	return out
}

// differs says in what the state differs from a wanted one; it stops at the first
// kind in which it does.
func (w *world) differs(kinds []listed, want state) string {
	for _, k := range kinds {
		part, err := w.of(k)
		if err != nil {
			return err.Error()
		}
		wanted := state{}
		for at, o := range want {
			if strings.HasPrefix(at, k.version+"/"+k.kind+" ") {
				wanted[at] = o
			}
		}
		if d := cmp.Diff(wanted, part); d != "" {
			return d
		}
	}
	return ""
}

// becomes waits until the state is a wanted one.
func (w *world) becomes(what string, kinds []listed, want state) {
	w.Helper()
	w.eventually(what, func() (bool, any) { d := w.differs(kinds, want); return d == "", d })
}

// barrier waits until the controller has said what there is to be said of a binding
// that was applied after everything else. No mesh has such a version, so nothing else
// follows of it; and of bindings is spoken when all else was looked at.
func (w *world) barrier() {
	w.Helper()
	w.must(w.Apply(bound(barrier, lab.Object{"name": "istio", "version": "0.1"})))
	w.eventually("word on the binding that was applied last", func() (bool, any) {
		state, message := w.condition(barrier, "Accepted")
		return state == "False/Invalid", state + ": " + message
	})
	w.must(w.Delete(bound(barrier, onIstio)))
}

const barrier = "barrier"

// text is the state as JSON, for the eyes.
func (s state) text() string {
	out, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(out)
}
