package webhook

import (
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/smi"
)

// read decodes an object, and says of an HTTPRouteGroup what translation says only
// once somebody refers to it: later it would be the reference that is denied.
func (h *Handler) read(raw []byte) (input.Object, report.Report) {
	o, found := h.decoder.Decode(raw)
	group, ok := o.Value.(*smi.RouteGroup)
	if !ok {
		return o, found
	}
	judge := func(field, expression string) {
		if _, err := ir.ParsePattern(expression, ir.AnchorWhole); err != nil {
			// In the words of translation, so that it is said once.
			found = append(found, report.New(report.BadRegex, o.Ref(field), `the expression "`+expression+`" cannot be read: `+err.Error()))
		}
	}
	for _, m := range group.Matches {
		judge(input.Field(m.Field, "pathRegex"), m.PathRegex)
		for _, header := range m.Headers {
			judge(header.Field, header.Value)
		}
	}
	return o, found.Sorted()
}
