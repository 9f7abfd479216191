package equivalence

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"golang.org/x/tools/txtar"
	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/semantics"
)

// Shrink looks for the smallest manifest of a scene on which a failure stays:
// without objects, then without items of lists, then without fields. It returns
// a golden case that is ready to be saved, after at most the time given.
func (r *Runner) Shrink(s Scene, f Failure, within time.Duration) ([]byte, error) {
	var objects []object
	for _, file := range s.Files {
		for _, text := range bytes.Split(file.Data, []byte("\n---\n")) {
			var o object
			if err := yaml.Unmarshal(text, &o); err != nil {
				return nil, fmt.Errorf("%s: %w", file.Name, err)
			}
			objects = append(objects, o)
		}
	}
	if s.Requests = nil; f.Request != nil {
		s.Requests = []semantics.Request{*f.Request}
	}
	end := time.Now().Add(within)
	fails := func(smaller []object) bool {
		if time.Now().After(end) {
			return false
		}
		s.Files = []input.File{{Name: "policy.yaml", Data: Manifest(smaller)}}
		quick := *r
		quick.Tally, quick.Limit, quick.Reserve, quick.Patience = NewTally("", ""), 0, 0, 400*time.Millisecond
		return slices.ContainsFunc(quick.Play(s, 0), func(o Failure) bool { return o.About == f.About })
	}
	objects = Smallest(objects, fails)
	return caseOf(s, f, objects), nil
}

// Smallest takes out of objects whatever can go while they still fail.
func Smallest(objects []object, fails func([]object) bool) []object {
	for share := len(objects) / 2; share > 1; share /= 2 {
		objects = without(objects, share, fails)
	}
	for before := -1; before != len(objects); { // what is smaller may need less
		before = len(objects)
		objects = without(objects, 1, fails)
		for i := range objects {
			objects = trimmed(trimmed(objects, i, true, fails), i, false, fails)
		}
	}
	return objects
}

// without leaves out as many objects at a time.
func without(objects []object, share int, fails func([]object) bool) []object {
	for i := 0; i+share <= len(objects); {
		if less := slices.Delete(slices.Clone(objects), i, i+share); fails(less) {
			objects = less
		} else {
			i += share
		}
	}
	return objects
}

// trimmed leaves items of lists, or fields, out of the i-th object.
func trimmed(objects []object, i int, lists bool, fails func([]object) bool) []object {
	for n := 0; ; {
		smaller, ok := cutAt(objects[i], n, lists)
		if !ok {
			return objects
		}
		less := slices.Clone(objects)
		less[i] = smaller
		if fails(less) {
			objects = less // what came next is the n-th now
		} else {
			n++
		}
	}
}

// cutAt is a copy of an object without the n-th item of any of its lists or,
// instead, without the n-th field below its spec. It reports false where there
// are not so many.
func cutAt(o object, n int, lists bool) (object, bool) {
	c := cutter{left: n, lists: lists}
	out := object{}
	for k, v := range o {
		out[k] = v
	}
	out["spec"] = c.copy(o["spec"])
	return out, c.done
}

// cutter copies a value and leaves one thing out.
type cutter struct {
	left  int
	lists bool
	done  bool
}

// goes reports whether the thing that is just being copied is the one.
func (c *cutter) goes() bool {
	if c.done {
		return false
	}
	c.left--
	c.done = c.left < 0
	return c.done
}

func (c *cutter) copy(v any) any {
	switch v := v.(type) {
	case []any:
		out := []any{}
		for _, item := range v {
			if c.lists && c.goes() {
				continue
			}
			out = append(out, c.copy(item))
		}
		return out
	case object:
		out := object{}
		names := make([]string, 0, len(v))
		for k := range v {
			names = append(names, k)
		}
		slices.Sort(names)
		for _, k := range names {
			if !c.lists && c.goes() {
				continue
			}
			out[k] = c.copy(v[k])
		}
		return out
	}
	return v
}

// caseOf is a failure as a golden case, whose expectation is the model's.
func caseOf(s Scene, f Failure, objects []object) []byte {
	s.Files = []input.File{{Name: "policy.yaml", Data: Manifest(objects)}}
	a := &txtar.Archive{Comment: []byte("Once failed in " + s.Name + ": [" + f.About + "] " + f.Text + "\n")}
	if s.Settings.Access != "" {
		a.Files = append(a.Files, txtar.File{Name: "settings", Data: []byte("access=" + s.Settings.Access + "\n")})
	}
	a.Files = append(a.Files, txtar.File{Name: "in/policy.yaml", Data: s.Files[0].Data})
	expect := "# no request shows it\n"
	if f.Request != nil {
		d := semantics.New(s.Units()).Decide(*f.Request)
		expect = fmt.Sprintf("%s => %s", plain(*f.Request), d.Verdict)
		if d.Route != "" {
			expect += " " + d.Route
		}
		if d.Status != 0 {
			expect += fmt.Sprintf(" status=%d", d.Status)
		}
	}
	a.Files = append(a.Files, txtar.File{Name: "expect.txt", Data: []byte(expect + "\n")})
	return txtar.Format(a)
}

// plain is a request without the host that was added to it.
func plain(q semantics.Request) semantics.Request {
	if h := q.Headers["host"]; len(h) == 1 && h[0] == lab.AnyHost {
		rest := map[string][]string{}
		for k, v := range q.Headers {
			if k != "host" {
				rest[k] = v
			}
		}
		q.Headers = rest
	}
	return q
}
