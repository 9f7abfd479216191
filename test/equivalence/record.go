package equivalence

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Results are the last runs of the planes.
type Results struct{ Tallies []Run }

// Run is a tally and what its random policies were made of.
type Run struct {
	Tally
	// N random policies of the Seed.
	N, Seed uint64
}

// name of a run: that of its plane or, where nothing ran, of its back end.
func (r Run) name() string {
	if r.Plane != "" {
		return r.Plane
	}
	return r.Backend
}

// Record puts a tally into a file of results, in the place of an older one.
func Record(path string, t *Tally, n, seed uint64) error {
	results, err := Recorded(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	run := Run{*t, n, seed}
	results.Tallies = slices.DeleteFunc(results.Tallies, func(o Run) bool { return o.name() == run.name() })
	results.Tallies = append(results.Tallies, run)
	slices.SortFunc(results.Tallies, func(a, b Run) int { return strings.Compare(a.name(), b.name()) })
	text, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// Recorded reads what Record wrote.
func Recorded(path string) (Results, error) {
	var out Results
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		return out, fmt.Errorf("reading results: %w", err)
	}
	return out, nil
}
