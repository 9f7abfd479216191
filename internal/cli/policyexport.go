package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/policies/cel"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/webhook"
)

// exportForms are what rules can be exported as.
var exportForms = []string{"validatingadmissionpolicy"}

func policyExport(a *app) *cobra.Command {
	var rules policyFlags
	var as, out string
	c := &cobra.Command{
		Use:   "export --as validatingadmissionpolicy",
		Short: "Write rules in a form that an API server evaluates itself",
		Long: `Export writes what CEL can say of the rules, and of what front ends refuse, as
ValidatingAdmissionPolicies with their bindings: they hold where the admission
webhook is away. An error denies, a warning warns, an info is written to the audit
log. Rules that look at other objects, and rules of your own, are not among them;
they are named on standard error.`,
		Example: "  meshknot policy export --as validatingadmissionpolicy -o -",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if !slices.Contains(exportForms, as) {
				return cannot("--as %q: want %s", as, exportForms[0])
			}
			engine, err := rules.engine()
			if err != nil {
				return err
			}
			if found := engine.Problems(); len(found) > 0 {
				return a.problems(found)
			}
			said, unsaid := cel.Policies(engine)
			if err := exported(a.out, out, said); err != nil {
				return err
			}
			for _, u := range unsaid {
				fmt.Fprintf(a.err, "not exported: %s: %s\n", u.Name, u.Why)
			}
			fmt.Fprintf(a.err, "%d policies, %d rules not exported\n", len(said), len(unsaid))
			return nil
		},
	}
	rules.register(c)
	c.Flags().StringVar(&as, "as", "", "validatingadmissionpolicy")
	c.Flags().StringVarP(&out, "output", "o", "-", "directory to write a file per policy to, or - for standard output")
	_ = c.MarkFlagRequired("as")
	complete(c, "as", exportForms...)
	return c
}

// exported writes policies with their bindings.
func exported(w io.Writer, dir string, all []cel.Policy) error {
	if dir != "-" {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return status{exitCannot, err}
		}
	}
	for i, p := range all {
		policy, err := yaml.Marshal(admissionPolicy(p))
		if err != nil {
			return err
		}
		binding, err := yaml.Marshal(admissionBinding(p))
		if err != nil {
			return err
		}
		text := fmt.Sprintf("%s---\n%s", policy, binding)
		if dir != "-" {
			if err := os.WriteFile(filepath.Join(dir, p.Name+".yaml"), []byte(text), 0o600); err != nil {
				return status{exitCannot, err}
			}
			continue
		}
		if i > 0 {
			text = "---\n" + text
		}
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
	}
	return nil
}

// exportLabels mark what was exported, so that it can be removed together.
var exportLabels = map[string]string{"app.kubernetes.io/name": "meshknot", "app.kubernetes.io/component": "policy"}

func admissionPolicy(p cel.Policy) *admissionregistrationv1.ValidatingAdmissionPolicy {
	fail, exact := admissionregistrationv1.Fail, admissionregistrationv1.Exact
	if p.Severity != report.Error {
		fail = admissionregistrationv1.Ignore
	}
	out := &admissionregistrationv1.ValidatingAdmissionPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: "ValidatingAdmissionPolicy"},
		ObjectMeta: metav1.ObjectMeta{Name: "meshknot-" + p.Name, Labels: exportLabels, Annotations: map[string]string{"meshknot.io/code": string(p.Code)}},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{FailurePolicy: &fail, MatchConstraints: &admissionregistrationv1.MatchResources{
			MatchPolicy: &exact, ResourceRules: resourceRules(p.Kinds),
			NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{
				Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpNotIn, Values: []string{metav1.NamespaceSystem}}}},
		}},
	}
	for _, v := range p.Variables {
		out.Spec.Variables = append(out.Spec.Variables, admissionregistrationv1.Variable{Name: v.Name, Expression: v.Expression})
	}
	for _, e := range p.Expressions {
		out.Spec.Validations = append(out.Spec.Validations, admissionregistrationv1.Validation{Expression: e, Message: p.Message})
	}
	return out
}

// resourceRules match kinds in every version that is read.
func resourceRules(kinds []string) []admissionregistrationv1.NamedRuleWithOperations {
	var out []admissionregistrationv1.NamedRuleWithOperations
	for _, k := range webhook.Kinds() {
		if k.Group == "" || !slices.Contains(kinds, k.Kind+"."+k.Group) {
			continue
		}
		out = append(out, admissionregistrationv1.NamedRuleWithOperations{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
			Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
			Rule:       admissionregistrationv1.Rule{APIGroups: []string{k.Group}, APIVersions: k.Versions, Resources: []string{k.Resource}},
		}})
	}
	return out
}

func admissionBinding(p cel.Policy) *admissionregistrationv1.ValidatingAdmissionPolicyBinding {
	actions := map[report.Severity]admissionregistrationv1.ValidationAction{
		report.Error: admissionregistrationv1.Deny, report.Warning: admissionregistrationv1.Warn, report.Info: admissionregistrationv1.Audit}
	return &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: "ValidatingAdmissionPolicyBinding"},
		ObjectMeta: metav1.ObjectMeta{Name: "meshknot-" + p.Name, Labels: exportLabels},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: "meshknot-" + p.Name,
			ValidationActions: []admissionregistrationv1.ValidationAction{actions[p.Severity]}},
	}
}
