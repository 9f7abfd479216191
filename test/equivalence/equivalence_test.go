package equivalence

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/meshknot/meshknot/test/corpus"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators/all"
)

var update = flag.Bool("update", false, "rewrite docs/equivalence.md from results.json")

// TestPlanes plays the golden cases, the corpus and random policies on every
// plane, and compares what each does with what is meant and what is read.
//
// MESHKNOT_EQUIVALENCE_N is the number of random policies and _SEED what they are
// made of; _PLANE is the one plane to play on, _SCENE the one scene to play, _BUDGET
// the seconds that each plane has (0: as many as it takes), and _OUT a file for the
// results.
func TestPlanes(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped by -short: it takes minutes")
	}
	all := scenes(t)
	for _, e := range Table {
		t.Run(e.Name, func(t *testing.T) { runPlane(t, e, all) })
	}
	for _, backend := range Modelled {
		t.Run(backend, func(t *testing.T) { runModelled(t, backend, all) })
	}
}

// fewest is how many decisions a plane has to be compared by.
const fewest = 100

// wanted skips a plane that is not asked for.
func wanted(t *testing.T, name string) {
	t.Helper()
	if only := os.Getenv("MESHKNOT_EQUIVALENCE_PLANE"); only != "" && only != name {
		t.Skipf("only %s is asked for", only)
	}
}

func runPlane(t *testing.T, e Entry, all []Scene) {
	wanted(t, e.Name)
	lab.Need(t, e.Needs...)
	plane, err := e.New()
	if err != nil {
		t.Fatal(err)
	}
	defer plane.Close()
	r := newRunner(t, e.Name, e.Backend)
	r.Plane, r.Speak, r.Whole, r.Reserve = plane, e.Speak, e.Whole, e.Reserve
	r.Tally.Programs = plane.Programs()
	if os.Getenv("MESHKNOT_EQUIVALENCE_BUDGET") == "0" { // there is time to measure well
		r.Draws, r.Measured = 2000, 2
	}
	playAll(t, r, all)
	for _, w := range r.Tally.Wrong() {
		t.Errorf("[%s] %s", AboutClaim, w)
	}
	for _, again := range r.Tally.retries {
		t.Logf("asked again: %s", again)
	}
	finish(t, r.Tally)
}

// hurried is how many requests a scene is asked that is played though the time is up.
const hurried = 10

// runModelled compares the model with the interpreter alone.
func runModelled(t *testing.T, backend string, all []Scene) {
	wanted(t, backend)
	r := newRunner(t, "", backend)
	playAll(t, r, all)
	finish(t, r.Tally)
}

func newRunner(t *testing.T, plane, backend string) *Runner {
	t.Helper()
	r := &Runner{Backend: backend, Limit: 40, Draws: 500, Measured: 1, Patience: 5 * time.Second, Tally: NewTally(plane, backend)}
	read, ok := all.Interpreter(backend)
	if !ok {
		t.Fatalf("nobody reads the artifacts of %s", backend)
	}
	r.Read = read
	return r
}

// playAll plays until the time is up. Of the random policies that fail, some are
// shrunk, too.
func playAll(t *testing.T, r *Runner, all []Scene) {
	t.Helper()
	budget, start, shrunk, lost := seconds(t, "BUDGET", 75), time.Now(), 0, 0
	scenes := line{runner: r, all: all}
	for _, s := range all {
		late := budget > 0 && time.Since(start) > budget && !(r.Whole && kindOf(s.Name) == "golden")
		if late || lost >= 3 {
			r.Tally.Cut[kindOf(s.Name)]++
			scenes.skip()
			continue
		}
		if budget > 0 && time.Since(start) > budget {
			r.Limit, r.Reserve = hurried, 0
		}
		before, began := r.Tally.Asked(), time.Now()
		next := scenes.next()
		if next.scene.Name != s.Name {
			t.Fatalf("%s is made ready where %s is meant", next.scene.Name, s.Name)
		}
		failures := r.PlayReady(next)
		if testing.Verbose() {
			t.Logf("%s: %d decisions in %s", s.Name, r.Tally.Asked()-before, time.Since(began).Round(time.Millisecond))
		}
		for _, f := range failures {
			t.Errorf("%s", f)
			if f.About == AboutPlane && f.Request == nil {
				lost++ // in a row: nothing is to be expected of such a plane
			}
		}
		if len(failures) == 0 {
			lost = 0
		}
		if len(failures) > 0 && kindOf(s.Name) == "random" && shrunk < 3 {
			shrunk++
			text, err := r.Shrink(s, failures[0], time.Minute)
			t.Logf("%s is no larger than this need be (%v):\n%s", s.Name, err, text)
		}
	}
	r.Tally.Seconds = time.Since(start).Seconds()
}

func finish(t *testing.T, tally *Tally) {
	t.Helper()
	t.Logf("%s", tally)
	if tally.Asked() < fewest && os.Getenv("MESHKNOT_EQUIVALENCE_SCENE") == "" {
		t.Errorf("%d decisions were compared; fewer than %d prove nothing", tally.Asked(), fewest)
	}
	if out := os.Getenv("MESHKNOT_EQUIVALENCE_OUT"); out != "" {
		if err := Record(out, tally, number(t, "N", 60), number(t, "SEED", 1)); err != nil {
			t.Fatal(err)
		}
	}
}

// scenes are all that there are, in an order in which what there is no time for
// is a little of everything.
func scenes(t *testing.T) []Scene {
	t.Helper()
	out, err := Golden(filepath.Join("..", "cases"))
	if err != nil {
		t.Fatal(err)
	}
	others, err := Corpus(corpus.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	seed := number(t, "SEED", 1)
	for n := range number(t, "N", 60) {
		others = append(others, Random(seed, n))
	}
	out = append(out, others...)
	if only := os.Getenv("MESHKNOT_EQUIVALENCE_SCENE"); only != "" {
		return slices.DeleteFunc(out, func(s Scene) bool { return s.Name != only })
	}
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// number reads a variable of the environment.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv("MESHKNOT_EQUIVALENCE_" + name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		t.Fatalf("MESHKNOT_EQUIVALENCE_%s=%s is no number", name, text)
	}
	return n
}

func seconds(t *testing.T, name string, otherwise uint64) time.Duration {
	t.Helper()
	return time.Duration(number(t, name, otherwise)) * time.Second
}

// TestDocument: docs/equivalence.md says what the last recorded run found.
func TestDocument(t *testing.T) {
	results, err := Recorded("results.json")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("..", "..", "docs", "equivalence.md")
	want := Document(results)
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != string(want) {
		t.Errorf("docs/equivalence.md is not made of results.json (%v); go test ./test/equivalence -run TestDocument -update makes it", err)
	}
	for _, tally := range results.Tallies {
		if len(tally.Failures) > 0 {
			t.Errorf("%s: the recorded run has %d failures, %s", fmt.Sprint(tally.Plane, tally.Backend), len(tally.Failures), tally.Failures[0])
		}
	}
}
