package golden

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/verify"
)

// Removal is one leaf of an artifact's payload that can be left out: a value, an
// element of a list of values, or something empty.
type Removal struct {
	// Path of the leaf, "virtualHosts[0].routes[1].match.prefix".
	Path string
	// Of is the type of the artifact, and Field the path without the places in
	// lists: what a table of fields that decide nothing speaks of.
	Of, Field string
	artifact  translators.Artifact
	steps     []any // names of fields and places in lists
}

var place = regexp.MustCompile(`\[\d+\]`)

// Removals lists the leaves of an artifact, in order of their paths. The
// artifact stays as it is.
func Removals(a translators.Artifact) ([]Removal, error) {
	plain, err := sink.Plain(a.Payload)
	if err != nil {
		return nil, err
	}
	var out []Removal
	leaves(plain, "", nil, func(path string, steps []any) {
		out = append(out, Removal{path, a.ID.Type, place.ReplaceAllString(path, ""), a, steps})
	})
	return out, nil
}

// Apply returns the artifact without the leaf. A map that is left empty stays,
// for it may say something too. An error is about the kind of the payload.
func (r Removal) Apply() (translators.Artifact, error) {
	out := r.artifact
	m, ok := r.artifact.Payload.(proto.Message)
	if !ok {
		out.Payload = without(r.artifact.Payload, r.steps)
		return out, nil
	}
	plain, err := sink.Plain(m)
	if err != nil {
		return out, err
	}
	rest, ok := without(plain, r.steps).(map[string]any)
	if !ok {
		return out, fmt.Errorf("%s: nothing is left of %s", r.Path, r.Of)
	}
	delete(rest, typeKey) // the message itself says its type
	text, err := json.Marshal(rest)
	if err != nil {
		return out, err
	}
	changed := m.ProtoReflect().New().Interface()
	if err := protojson.Unmarshal(text, changed); err != nil {
		return out, fmt.Errorf("%s: %w", r.Path, err)
	}
	out.Payload = changed
	return out, nil
}

// typeKey names the type of a message where it could be any; it is no field.
const typeKey = "@type"

// Removed is a field of a type of artifacts, as Removal has them.
type Removed struct{ Of, Field string }

func (r Removed) String() string { return r.Of + " " + r.Field }

func (r Removal) field() Removed { return Removed{r.Of, r.Field} }

// Leaves are those of what a back end makes of cases: a try leaves one of them out.
type Leaves struct {
	Cases   []Case
	Backend string
	Read    interpret.New
	// Tries are made at the most of a field of which not only one has to be noticed.
	Tries int
}

// noticed counts for each field of each type how often it was left out, and how
// often verification noticed: the interpreter refuses the rest, or there is a
// difference that was not there before and that no table explains. A field is left
// out until somebody notices, or one that is idle as often as tries say.
func (l Leaves) noticed(idle func(Removed) bool) (noticed, tried map[Removed]int, err error) {
	all, err := l.trials()
	if err != nil {
		return nil, nil, err
	}
	mixed(all)
	noticed, tried = map[Removed]int{}, map[Removed]int{}
	for _, t := range all {
		k := t.removal.field()
		if noticed[k] > 0 || tried[k] >= l.Tries && idle(k) {
			continue
		}
		ok, err := t.noticed(l.Read)
		if err != nil {
			return nil, nil, err
		}
		if tried[k]++; ok {
			noticed[k]++
		}
	}
	return noticed, tried, nil
}

// mixed puts trials in an order in which no case comes first, the same every time.
func mixed(all []trial) {
	random := rand.New(rand.NewPCG(1, 1))
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
}

// trial is a removal, in a case.
type trial struct {
	name    string // of the case
	world   interpret.World
	output  translators.Output
	pieces  []translators.Piece
	before  map[string]bool
	place   int // of the artifact in the output
	removal Removal
}

func (l Leaves) trials() ([]trial, error) {
	var out []trial
	for _, c := range l.Cases {
		some, err := l.of(c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		out = append(out, some...)
	}
	return out, nil
}

func (l Leaves) of(c Case) ([]trial, error) {
	run := Do(c)
	var out []trial
	for i, o := range run.Result.Outputs {
		if o.Target.Backend != l.Backend || o.Withheld {
			continue
		}
		w := interpret.WorldOf(run.Units)
		before, err := unexplained(w, l.Read, o, run.Pieces[i])
		if err != nil {
			return nil, err
		}
		for j, a := range o.Artifacts {
			removals, err := Removals(a)
			if err != nil {
				return nil, err
			}
			for _, r := range removals {
				out = append(out, trial{c.Name, w, o, run.Pieces[i], before, j, r})
			}
		}
	}
	return out, nil
}

func (t trial) noticed(read interpret.New) (bool, error) {
	a, err := t.removal.Apply()
	if err != nil {
		return false, err
	}
	t.output.Artifacts = slices.Clone(t.output.Artifacts)
	t.output.Artifacts[t.place] = a
	after, err := unexplained(t.world, read, t.output, t.pieces)
	if err != nil {
		return true, nil
	}
	for d := range after {
		if !t.before[d] {
			return true, nil
		}
	}
	return false, nil
}

func unexplained(w interpret.World, read interpret.New, o translators.Output, pieces []translators.Piece) (map[string]bool, error) {
	found, err := verify.Check(w, read, o, pieces)
	out := map[string]bool{}
	for _, d := range found.Differences {
		if d.Shown == nil {
			out[fmt.Sprint(d.Unit, d.Request, d.Difference)] = true
		}
	}
	return out, err
}

// leaves calls found for every leaf below a value.
func leaves(v any, path string, steps []any, found func(string, []any)) {
	children := 0
	child := func(name string, step, value any) {
		children++
		leaves(value, path+name, append(slices.Clip(steps), step), found)
	}
	switch v := v.(type) {
	case map[string]any:
		dot := ""
		if path != "" {
			dot = "."
		}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if k != typeKey {
				child(dot+k, k, v[k])
			}
		}
	case map[string]string:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			child("."+k, k, v[k])
		}
	default:
		for i, e := range elements(v) {
			child(fmt.Sprintf("[%d]", i), i, e)
		}
	}
	if children == 0 && path != "" {
		found(path, steps)
	}
}

// elements lists what is in a list of any of the types that payloads have.
func elements(v any) []any {
	switch v := v.(type) {
	case []any:
		return v
	case []string:
		return anys(v)
	case []map[string]any:
		return anys(v)
	}
	return nil
}

func anys[T any](in []T) []any {
	var out []any
	for _, v := range in {
		out = append(out, v)
	}
	return out
}

// without copies a value, but for what the steps lead to. Lists keep the type of
// their elements, as interpreters look at it.
func without(v any, steps []any) any {
	switch v := v.(type) {
	case map[string]any:
		out := maps.Clone(v)
		name, _ := steps[0].(string)
		if delete(out, name); len(steps) > 1 {
			out[name] = without(v[name], steps[1:])
		}
		return out
	case map[string]string:
		out := maps.Clone(v)
		name, _ := steps[0].(string)
		delete(out, name)
		return out
	case []any:
		i, _ := steps[0].(int)
		if len(steps) > 1 {
			out := slices.Clone(v)
			out[i] = without(v[i], steps[1:])
			return out
		}
		return slices.Concat(v[:i], v[i+1:])
	case []string:
		i, _ := steps[0].(int)
		return slices.Concat(v[:i], v[i+1:])
	case []map[string]any:
		i, _ := steps[0].(int)
		if len(steps) == 1 {
			return slices.Concat(v[:i], v[i+1:])
		}
		out := slices.Clone(v)
		out[i], _ = without(v[i], steps[1:]).(map[string]any)
		return out
	}
	return v
}
