package engine_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
)

// number is an environment variable, or a default.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var pairs = [][]translators.Target{
	{{Backend: "envoy"}, {Backend: "grpc"}},
	{{Backend: "envoy", TrustDomain: "example.org"}, {Backend: "consul"}},
	{{Backend: "linkerd"}, {Backend: "istio"}},
	{{Backend: "consul"}, {Backend: "gateway-api", Options: map[string]string{"authorization": "linkerd"}}},
}

// Whatever is edited, in whatever order: after every step an engine that followed
// is where one is that starts with the same objects, and who followed its changes
// has the same artifacts. MESHKNOT_SEQUENCES and MESHKNOT_SEED say how many
// sequences, and from which.
func TestFollowingIsStartingAnew(t *testing.T) {
	p := loadPool(t)
	first := number(t, "MESHKNOT_SEED", 0)
	for seed := first; seed < first+number(t, "MESHKNOT_SEQUENCES", 100); seed++ {
		d := drawing{Rand: rand.New(rand.NewPCG(uint64(seed), 0)), pool: p}
		steps := d.sequence(200)
		targets := pairs[seed%len(pairs)]
		at, why := play(steps, targets, 1)
		if at < 0 {
			continue
		}
		steps, why = shrink(steps[:at+1], targets, why)
		for _, s := range steps {
			t.Logf("%s: %s", s.name, ids(s.edits))
		}
		t.Fatalf("seed %d, step %d of which %d are left, for %v: %s", seed, at, len(steps), targets, why)
	}
}

func ids(edits []input.Edit) (out string) {
	for _, e := range edits {
		out += fmt.Sprintf("%s %s/%s (%d) ", e.ID.Kind, e.ID.Namespace, e.ID.Name, len(e.Objects))
	}
	return out
}

// shrink leaves out the steps without which the last one fails all the same.
func shrink(steps []change, targets []translators.Target, why string) ([]change, string) {
	for size := len(steps) / 2; size > 0; size /= 2 {
		for i := 0; i+size < len(steps); {
			fewer := append(append([]change(nil), steps[:i]...), steps[i+size:]...)
			if at, w := play(fewer, targets, 1); at >= 0 {
				steps, why = fewer[:at+1], w
				continue
			}
			i += size
		}
	}
	return steps, why
}

// play plays a sequence, and compares after every so many steps. It returns the
// step at which something differs, or -1.
func play(steps []change, targets []translators.Target, every int) (int, string) {
	live := engine.New(all.Pipeline(), targets, nil)
	content, settings := map[input.ID][]input.Object{}, input.Settings{}
	follower := replica{}
	for i, c := range steps {
		for _, e := range c.edits {
			content[e.ID] = e.Objects
		}
		var step engine.Step
		if c.settings != nil {
			settings = *c.settings
			step = live.Update(storeOf(content, settings))
		} else {
			step = live.Apply(c.edits)
		}
		follower.follow(step)
		if i%every > 0 {
			continue
		}
		want := engine.New(all.Pipeline(), targets, nil).Run(storeOf(content, settings))
		if why := differs(live.Result(), want); why != "" {
			return i, why
		}
		if why := follower.differs(want); why != "" {
			return i, "who follows: " + why
		}
	}
	return -1, ""
}

func storeOf(content map[input.ID][]input.Object, s input.Settings) *input.Store {
	var objects []input.Object
	for _, list := range content {
		objects = append(objects, list...)
	}
	return input.StoreOf(objects, s)
}

// differs says in what two results differ.
func differs(got, want engine.Result) string {
	switch {
	case !reflect.DeepEqual(got.Units, want.Units):
		return fmt.Sprintf("units are\n%+v\nwant\n%+v", got.Units, want.Units)
	case !reflect.DeepEqual(got.Findings, want.Findings):
		return fmt.Sprintf("findings are\n%+v\nwant\n%+v", got.Findings, want.Findings)
	}
	for i, o := range want.Outputs {
		g := got.Outputs[i]
		switch {
		case g.Withheld != o.Withheld:
			return fmt.Sprintf("withheld: %v, want %v", g.Withheld, o.Withheld)
		case !reflect.DeepEqual(g.Findings, o.Findings):
			return fmt.Sprintf("findings of %s are\n%+v\nwant\n%+v", o.Target.Backend, g.Findings, o.Findings)
		case len(g.Artifacts) != len(o.Artifacts):
			return fmt.Sprintf("%s: %d artifacts, want %d", o.Target.Backend, len(g.Artifacts), len(o.Artifacts))
		}
		for j, a := range o.Artifacts {
			b := g.Artifacts[j]
			if !same(a.Payload, b.Payload) || a.Slot() != b.Slot() || a.Rank != b.Rank || a.Unit != b.Unit || !reflect.DeepEqual(a.Refs, b.Refs) {
				return fmt.Sprintf("%s: artifact\n%+v\nwant\n%+v", o.Target.Backend, b, a)
			}
		}
	}
	return ""
}

func same(a, b any) bool {
	if m, ok := a.(proto.Message); ok {
		return proto.Equal(m, b.(proto.Message))
	}
	return reflect.DeepEqual(a, b)
}

// replica is what somebody has who follows the changes of each target.
type replica map[string]map[translators.Slot]any

func (r replica) follow(s engine.Step) {
	for _, c := range s.Changed {
		has := r[c.Target.Backend]
		if has == nil {
			has = map[translators.Slot]any{}
			r[c.Target.Backend] = has
		}
		for _, a := range c.Put {
			if was, ok := has[a.Slot()]; ok && same(was, a.Payload) {
				has[translators.Slot{}] = "put what was there already: " + a.ID.Name
			}
			has[a.Slot()] = a.Payload
		}
		for _, slot := range c.Remove {
			if _, ok := has[slot]; !ok {
				has[translators.Slot{}] = "removed what was not there: " + slot.ID.Name
			}
			delete(has, slot)
		}
	}
}

func (r replica) differs(want engine.Result) string {
	for _, o := range want.Outputs {
		has := r[o.Target.Backend]
		if wrong, ok := has[translators.Slot{}]; ok {
			return fmt.Sprint(wrong)
		}
		if o.Withheld {
			continue
		}
		if len(has) != len(o.Artifacts) {
			return fmt.Sprintf("%s: %d artifacts, want %d", o.Target.Backend, len(has), len(o.Artifacts))
		}
		for _, a := range o.Artifacts {
			if !same(has[a.Slot()], a.Payload) {
				return fmt.Sprintf("%s: %v is\n%v\nwant\n%v", o.Target.Backend, a.Slot(), has[a.Slot()], a.Payload)
			}
		}
	}
	return ""
}
