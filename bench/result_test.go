package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/meshknot/meshknot/bench/measure"
)

// The document says what the results say.
func TestDocument(t *testing.T) {
	r, err := readReport()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(documentFile)
	if err != nil {
		t.Fatal(err)
	}
	if want := document(r); !bytes.Equal(got, want) {
		t.Errorf("%s is not what %s says: write it with go run . -document", documentFile, resultsFile)
	}
}

// Every must is of a benchmark that there is, and the committed results hold its
// figure: one that nobody measures is not a must.
func TestMustsAreMeasured(t *testing.T) {
	r, err := readReport()
	if err != nil {
		t.Fatal(err)
	}
	measured := map[string]*Result{}
	for _, res := range r.Results {
		measured[res.Bench] = res
	}
	for _, m := range musts {
		res := measured[m.bench]
		if res == nil {
			t.Errorf("%s has a must and no result", m.bench)
			continue
		}
		if _, ok := res.Figures[m.figure]; !ok && len(res.Notes) == 0 {
			t.Errorf("%s does not measure %q, and no note says why", m.bench, m.figure)
		}
	}
}

// The committed baseline holds every figure that is guarded.
func TestBaselineIsWhole(t *testing.T) {
	b, err := readBaseline(baselineFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := joined(compare(b, b)); err != nil {
		t.Error(err)
	}
}

func TestCompare(t *testing.T) {
	full := func() baseline {
		out := baseline{}
		for _, g := range guards {
			if out[g.bench] == nil {
				out[g.bench] = map[string]float64{}
			}
			out[g.bench][g.figure] = 100
		}
		return out
	}
	for _, g := range guards {
		for _, c := range []struct {
			grown float64
			fails bool
		}{{1, false}, {g.growth - 0.01, false}, {g.growth + 0.01, true}, {0.5, false}} {
			now := full()
			now[g.bench][g.figure] *= c.grown
			err := joined(compare(full(), now))
			if (err != nil) != c.fails {
				t.Errorf("%s %s grown %.2f times: error %v, want one: %v", g.bench, g.figure, c.grown, err, c.fails)
			}
			if err != nil && !strings.Contains(err.Error(), g.figure) {
				t.Errorf("the error %q does not name %q", err, g.figure)
			}
		}
		now := full()
		delete(now[g.bench], g.figure)
		if joined(compare(full(), now)) == nil || joined(compare(now, full())) == nil {
			t.Errorf("%s %s is missing on one side, and that is no error", g.bench, g.figure)
		}
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		least           bool
		must, aim, got  float64
		measured        bool
		verdict, figure string
	}{
		{least, 13, 20, 12.9, true, "MISS", "too little"},
		{least, 13, 20, 13, true, "pass", "just enough"},
		{least, 13, 20, 20, true, "aim", "all of it"},
		{most, 2.5, 1.5, 2.6, true, "MISS", "too much"},
		{most, 2.5, 1.5, 2.5, true, "pass", "just little enough"},
		{most, 2.5, 1.5, 1.4, true, "aim", "less than wished for"},
		{most, 2.5, 1.5, 0, false, "not measured", "nothing"},
	} {
		if got := (check{must{"B", c.figure, c.least, c.must, c.aim, ""}, c.got, c.measured}).verdict(); got != c.verdict {
			t.Errorf("%s: verdict %q, want %q", c.figure, got, c.verdict)
		}
	}
}

func TestMeasure(t *testing.T) {
	if got := strings.Join(measure.ABBA([]string{"a", "b", "c"}, 2), ""); got != "abccbaabccba" {
		t.Errorf("order %s", got)
	}
	odd := []time.Duration{5, 1, 4, 2, 3}
	if m, most := measure.Median(odd), measure.Quantile(odd, 1); m != 3 || most != 5 {
		t.Errorf("median %d and most %d of 1 to 5", m, most)
	}
	if g := growth(100, 103, 30*time.Second); g < 5.9 || g > 6.1 {
		t.Errorf("from 100 to 103 in half a minute is %.1f %% a minute, want 6", g)
	}
}
