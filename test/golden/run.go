package golden

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"
	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/gatewayapi"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// Run is what the pipeline makes of a case.
type Run struct {
	engine.Result
	Set   *input.Set
	store *input.Store
	// Read are the findings of reading.
	Read report.Report
}

// Targets are the back ends that every case is translated to.
func Targets(c Case) []translators.Target {
	var out []translators.Target
	for _, b := range all.Pipeline().Backends {
		out = append(out, translators.Target{Backend: b.Name(), Options: c.Options[b.Name()]})
	}
	return out
}

// Do runs a case.
func Do(c Case) Run {
	p := all.Pipeline()
	set, found := input.ReadFiles(files(c.Inputs), input.Options{Schemas: p.Schemas()})
	e := engine.New(p, Targets(c), c.Waivers)
	store := input.NewStore(set, c.Settings)
	return Run{e.Run(store), set, store, found}
}

func files(in []txtar.File) []input.File {
	var out []input.File
	for _, f := range in {
		out = append(out, input.File{Name: strings.TrimPrefix(f.Name, "in/"), Data: f.Data})
	}
	return out
}

// Outputs renders the out/ sections of a run.
func (r Run) Outputs() ([]txtar.File, error) {
	model, err := yaml.Marshal(r.Units)
	if err != nil {
		return nil, err
	}
	out := []txtar.File{{Name: "out/ir.yaml", Data: model}}
	if status, err := r.statuses(); err != nil {
		return nil, err
	} else if len(status) > 0 {
		out = append(out, txtar.File{Name: "out/status.yaml", Data: status})
	}
	all := slices.Concat(r.Read, r.Findings)
	for _, o := range r.Result.Outputs {
		text, err := artifacts(o)
		if err != nil {
			return nil, err
		}
		out = append(out, txtar.File{Name: "out/" + o.Target.Backend + ".yaml", Data: text})
		all = append(all, o.Findings...)
	}
	return append(out, txtar.File{Name: "out/report.txt", Data: r.report(all)}), nil
}

// statuses renders the status of every object that has one.
func (r Run) statuses() ([]byte, error) {
	var b bytes.Buffer
	for _, o := range r.store.Objects() {
		status, ok := gatewayapi.Status(r.store.Reader(), o)
		if !ok {
			continue
		}
		text, err := yaml.Marshal(status)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "---\n# %s %s\n%s", o.Kind, ir.Name{Namespace: o.Namespace, Name: o.ID.Name}, text)
	}
	return b.Bytes(), nil
}

func (r Run) report(found report.Report) []byte {
	var b bytes.Buffer
	for _, f := range found.Sorted() {
		if f.Code == report.Implicit { // the same for every case: docs/capabilities.md lists them
			continue
		}
		where := f.At
		if p, ok := r.Set.Locate(f.Source); ok && where.File == "" {
			where = p
		}
		fmt.Fprintf(&b, "%s:%d:%d: %s %s", where.File, where.Line, where.Column, f.Severity, f.Code)
		if f.Backend != "" {
			fmt.Fprintf(&b, " [%s %s]", f.Backend, f.Class)
		}
		fmt.Fprintf(&b, " %s: %s\n", f.Source, f.Message)
	}
	return b.Bytes()
}

func artifacts(o translators.Output) ([]byte, error) {
	var b bytes.Buffer
	if o.Withheld {
		b.WriteString("# withheld\n")
	}
	for _, a := range o.Artifacts {
		payload, err := sink.Plain(a.Payload)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", a.ID.Type, a.ID.Name, err)
		}
		text, err := yaml.Marshal(payload)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "---\n# %s %s%s\n%s", a.ID.Type, a.ID.Name, audience(a.Audience), text)
	}
	return b.Bytes(), nil
}

// audience says for whom an artifact is that shares its ID with another.
func audience(a ir.Audience) string {
	if a.Account != "" || a.Namespace == "" {
		return ""
	}
	return " for " + a.Namespace
}
