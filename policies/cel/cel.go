// Package cel says in CEL what rules in Rego and front ends say of an object
// alone, so that an API server can judge it where the webhook is away. What looks
// at other objects, or is a team's own Rego, CEL cannot say.
package cel

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/meshknot/meshknot/policies"
	"github.com/meshknot/meshknot/translators/report"
)

// Policy is a rule as ValidatingAdmissionPolicies have it.
type Policy struct {
	// Name of the rule, in dashes.
	Name     string
	Code     report.Code
	Severity report.Severity
	// Kinds that it is evaluated on, as "TrafficSplit.split.smi-spec.io".
	Kinds []string
	// Message is what is said of an object for which an expression is false.
	Message string
	// Variables are those that expressions may use, in order.
	Variables []Variable
	// Expressions are all true for an object in which nothing is found.
	Expressions []string
}

// Variable has a name and an expression.
type Variable struct{ Name, Expression string }

// Unsaid is a rule that is not among the policies.
type Unsaid struct{ Name, Why string }

// spec is where an object says what is wanted; the oldest versions of SMI have
// that at the top.
var spec = Variable{"spec", "has(object.spec) ? object.spec : object"}

// Policies returns what CEL can say of rules, with their parameters, and of what
// front ends refuse, and names the rules of which it cannot.
func Policies(e *policies.Engine) ([]Policy, []Unsaid) {
	out := frontEnds()
	var unsaid []Unsaid
	for _, r := range e.Rules() {
		say, ok := rules[r.Name]
		if !ok {
			unsaid = append(unsaid, Unsaid{r.Name, why(r)})
			continue
		}
		p := Policy{Name: r.Name, Code: r.Code, Severity: r.Severity, Kinds: r.Kinds, Message: message(r.Title, r.Code, r.Hint)}
		p.Variables, p.Expressions = say(e.Parameters(r.Name))
		out = append(out, p)
	}
	return out, unsaid
}

func message(title string, code report.Code, hint string) string {
	s := fmt.Sprintf("%s (%s)", title, code)
	if hint != "" {
		s += ". " + strings.ToUpper(hint[:1]) + hint[1:]
	}
	return s
}

func why(r policies.Rule) string {
	if _, shipped := strings.CutPrefix(r.Package, "meshknot."); shipped {
		return "it looks at other objects, which CEL does not see"
	}
	return "it is Rego of your own: CEL has no translation of it"
}

// literal is a parameter as CEL writes it: JSON is a part of CEL.
func literal(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return "null"
	}
	return string(text)
}

// frontEnds are findings of front ends, which are errors, on an object alone. Of
// weights CEL says that they are not negative, and not that their ratio is too fine.
func frontEnds() []Policy {
	of := func(name string, code report.Code, kind string, expressions ...string) Policy {
		row := code.Row()
		return Policy{Name: name, Code: code, Severity: report.Error, Kinds: []string{kind},
			Message: message(row.Title, code, row.Hint), Variables: []Variable{spec}, Expressions: expressions}
	}
	const split, target = "TrafficSplit.split.smi-spec.io", "TrafficTarget.access.smi-spec.io"
	return []Policy{
		of("smi-all-weights-zero", report.AllWeightsZero, split,
			"!has(variables.spec.backends) || size(variables.spec.backends) == 0 || "+
				"variables.spec.backends.exists(b, !has(b.weight) || type(b.weight) != int || b.weight != 0)"),
		of("smi-bad-weight", report.BadWeight, split,
			"!has(variables.spec.backends) || variables.spec.backends.all(b, !has(b.weight) || type(b.weight) != int || b.weight >= 0)"),
		of("smi-no-sources", report.NoSources, target, "has(variables.spec.sources) && size(variables.spec.sources) > 0"),
		of("smi-no-rules", report.NoRules, target,
			"has(variables.spec.rules) && size(variables.spec.rules) > 0 || has(variables.spec.specs) && size(variables.spec.specs) > 0"),
	}
}
