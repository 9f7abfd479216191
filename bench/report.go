package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
)

// Report is a whole run.
type Report struct {
	// Machine it ran on, and the versions of what was measured.
	Machine  Machine           `json:"machine"`
	Versions map[string]string `json:"versions"`
	Results  []*Result         `json:"results"`
}

// Machine is where a run took place.
type Machine struct {
	CPU       string `json:"cpu"`
	CPUs      int    `json:"cpus"`
	MemoryMiB int    `json:"memoryMiB"`
	OS        string `json:"os"`
}

// shown are the modules whose versions are told.
var shown = []string{"google.golang.org/grpc", "google.golang.org/protobuf", "github.com/envoyproxy/go-control-plane"}

func newReport() *Report {
	r := &Report{Machine: Machine{CPU: cpuModel(), CPUs: runtime.GOMAXPROCS(0), MemoryMiB: memoryMiB(), OS: runtime.GOOS + "/" + runtime.GOARCH},
		Versions: map[string]string{"go": runtime.Version(), "egctl": "v1.9.1 (go1.27.1)"}}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return r
	}
	for _, m := range info.Deps {
		for _, s := range shown {
			if m.Path == s {
				r.Versions[s] = m.Version
			}
		}
	}
	return r
}

// cpuModel is what the kernel calls the processor.
func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.Trim(name, "\t :\n")
		}
	}
	return "unknown"
}

func memoryMiB() int {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	var kib int
	if _, err := fmt.Sscanf(string(text), "MemTotal: %d kB", &kib); err != nil {
		return 0
	}
	return kib >> 10
}

// keep replaces the results that were measured anew, and adds those that are new,
// in the order of the table.
func (r *Report) keep(results []*Result) {
	have := map[string]*Result{}
	for _, old := range append(r.Results, results...) {
		have[old.Bench] = old
	}
	r.Results = nil
	for _, b := range benches {
		if got := have[b.name]; got != nil {
			r.Results = append(r.Results, got)
		}
	}
}

func readReport() (*Report, error) {
	text, err := os.ReadFile(resultsFile)
	if err != nil {
		return nil, fmt.Errorf("reading the results: %w", err)
	}
	var r Report
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("reading %s: %w", resultsFile, err)
	}
	return &r, nil
}

func writeJSON(file string, v any) error {
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return fmt.Errorf("encoding: %w", err)
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	return nil
}
