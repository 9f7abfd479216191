package krm

import (
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// Result is a finding as a ResourceList has it.
type Result struct {
	Message     string            `json:"message"`
	Severity    string            `json:"severity"`
	ResourceRef *Ref              `json:"resourceRef,omitempty"`
	Field       *Field            `json:"field,omitempty"`
	File        *File             `json:"file,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
}

// Ref names an object.
type Ref struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
}

// Field is a field of an object by its path.
type Field struct {
	Path string `json:"path"`
}

// ResultOf is the result that says a finding. Item is the one that the finding is
// about, if there is one: it knows its version and its file.
func ResultOf(f report.Finding, item *Item) Result {
	r := Result{Message: string(f.Code) + " " + f.Message, Severity: string(f.Severity), Tags: map[string]string{"code": string(f.Code)}}
	if f.Hint != "" {
		r.Message += " (" + f.Hint + ")"
	}
	if f.Class != "" {
		r.Tags["class"] = string(f.Class)
	}
	if f.Backend != "" {
		r.Tags["backend"] = f.Backend
	}
	if f.Waived != "" {
		r.Tags["waived"] = f.Waived
	}
	if item != nil {
		r.ResourceRef = &Ref{item.apiVersion(), item.Kind, item.Namespace, item.Name}
		if item.File.Path != "" {
			r.File = &item.File
		}
	}
	if f.Source.Field != "" {
		r.Field = &Field{f.Source.Field}
	}
	return r
}

// Misconfigured is the result that says what is wrong with the configuration.
func (l *List) Misconfigured(err error) Result {
	r := Result{Message: "functionConfig: " + err.Error(), Severity: string(report.Error)}
	if l.Config == nil {
		return r
	}
	if item, err := itemOf(l.Config); err == nil && item.Kind != "" && item.Name != "" {
		r.ResourceRef = &Ref{item.apiVersion(), item.Kind, item.Namespace, item.Name}
	}
	return r
}

func (i Item) apiVersion() string {
	if i.Group == "" {
		return i.Version
	}
	return i.Group + "/" + i.Version
}

// Item returns the item of the list that is known by an ID. Objects are asked for
// with the namespace that they came to have, and may be given without one.
func (l *List) Item(id input.ID) *Item {
	for _, id := range []input.ID{id, {Group: id.Group, Kind: id.Kind, Name: id.Name}} {
		for i := range l.Items {
			if l.Items[i].ID == id {
				return &l.Items[i]
			}
		}
	}
	return nil
}
