package migrate

import (
	"fmt"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/report"
)

// Page writes what was converted and what is left as Markdown. The locator
// says where objects stand.
func (c Conversion) Page(l report.Locator) string {
	var b strings.Builder
	b.WriteString("# Migration from SMI to Gateway API\n\n## Left by hand\n\n")
	c.list(&b, l, func(f report.Finding) bool { return f.Code == report.ByHand })
	b.WriteString("\n## Nearly the same\n\n")
	c.list(&b, l, func(f report.Finding) bool { return f.Code != report.ByHand })
	b.WriteString("\n## Written\n\n")
	made(&b, c.Access)
	made(&b, c.Routes)
	if len(c.Access)+len(c.Routes) == 0 {
		b.WriteString("Nothing.\n")
	}
	b.WriteString("\n## Replaced\n\nApply what is written, then remove these. All other objects stay as they are.\n\n")
	for _, r := range c.Replaced {
		fmt.Fprintf(&b, "- %s\n", r)
	}
	if len(c.Replaced) == 0 {
		b.WriteString("Nothing.\n")
	}
	return b.String()
}

func (c Conversion) list(b *strings.Builder, l report.Locator, take func(report.Finding) bool) {
	none := true
	for _, f := range c.Found {
		if !take(f) {
			continue
		}
		none = false
		fmt.Fprintf(b, "- %s%s: %s\n", f.Source, place(l, f.Source), f.Message)
	}
	if none {
		b.WriteString("Nothing.\n")
	}
}

// place says where an object stands, or nothing.
func place(l report.Locator, r report.Ref) string {
	if l == nil {
		return ""
	}
	if p, ok := l.Locate(r); ok {
		return " (" + p.String() + ")"
	}
	return ""
}

func made(b *strings.Builder, artifacts []translators.Artifact) {
	for _, a := range artifacts {
		id := idOf(a.ID)
		var from []string
		for _, r := range a.Refs {
			if s := r.Object().String(); fromSMI(r) && !strings.Contains(strings.Join(from, ", "), s) {
				from = append(from, s)
			}
		}
		fmt.Fprintf(b, "- %s %s", id.Kind, a.ID.Name)
		if len(from) > 0 {
			fmt.Fprintf(b, ", of %s", strings.Join(from, ", "))
		}
		b.WriteString("\n")
	}
}
