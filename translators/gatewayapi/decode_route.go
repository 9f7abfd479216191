package gatewayapi

import (
	"fmt"
	"net/netip"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/kube"
	"github.com/meshknot/meshknot/translators/report"
)

// common checks what routes of every kind have.
func (d *decoder) common(w gatewayv1.CommonRouteSpec) {
	d.atMost("spec.parentRefs", len(w.ParentRefs), 32)
	at := func(i int) string { return input.Element("spec.parentRefs", i) }
	var keys []string
	count := map[string]int{}
	for i, p := range w.ParentRefs {
		d.parentRef(at(i), p)
		parent := parentKey(d.Namespace, p)
		count[parent]++
		keys = append(keys, fmt.Sprintf("%s, section %q, port %d", parent, value(p.SectionName, ""), value(p.Port, 0)))
	}
	d.unique(keys, at, "parent")
	for i, p := range w.ParentRefs {
		if parent := parentKey(d.Namespace, p); count[parent] > 1 && p.SectionName == nil && p.Port == nil {
			d.bad(at(i), "%s is named several times, so each needs a sectionName or a port", parent)
		}
	}
	d.unspoken(w.UseDefaultGateways != "", "spec.useDefaultGateways", "no Gateway is taken for a default: the route is attached to its parentRefs alone")
	if w.UseDefaultGateways != "" {
		oneOf(d, "spec.useDefaultGateways", &w.UseDefaultGateways, gatewayv1.GatewayDefaultScopeAll, gatewayv1.GatewayDefaultScopeNone)
	}
}

func parentKey(namespace string, p gatewayv1.ParentReference) string {
	return kindOf(input.ID{Group: string(value(p.Group, Group)), Kind: string(value(p.Kind, KindGateway))}) + " " +
		string(value(p.Namespace, gatewayv1.Namespace(namespace))) + "/" + string(p.Name)
}

func (d *decoder) parentRef(at string, p gatewayv1.ParentReference) {
	check(d, groupForm, input.Field(at, "group"), p.Group)
	check(d, kindForm, input.Field(at, "kind"), p.Kind)
	check(d, labelForm, input.Field(at, "namespace"), p.Namespace)
	d.needs(nameForm, input.Field(at, "name"), string(p.Name))
	check(d, sectionForm, input.Field(at, "sectionName"), p.SectionName)
	d.port(input.Field(at, "port"), p.Port)
	switch group, kind := string(value(p.Group, Group)), string(value(p.Kind, KindGateway)); {
	case group == Group && (kind == KindGateway || kind == KindListenerSet):
	case group == "" && kind == kube.KindService:
	case kind == kube.KindService:
		d.foreign(at, kind, group, `; the group of Services is "", which has to be written`)
	default:
		d.foreign(at, kind, group, "")
	}
}

// foreign reports a parent of a kind that is not read. Others may know it, so the
// object is none the worse.
func (d *decoder) foreign(at, kind, group, more string) {
	d.say(report.UnknownParent, at, fmt.Sprintf("nothing is known of parents of kind %s in group %q, so this reference has no effect%s", kind, group, more))
}

func (d *decoder) port(field string, p *gatewayv1.PortNumber) {
	if p != nil {
		d.between(field, int(*p), 1, 65535)
	}
}

func (d *decoder) hostnames(all []gatewayv1.Hostname) {
	d.atMost("spec.hostnames", len(all), 16)
	for i, h := range all {
		d.hostname(input.Element("spec.hostnames", i), h)
	}
}

// hostname checks a host name, which must not be an address.
func (d *decoder) hostname(field string, h gatewayv1.Hostname) {
	if _, err := netip.ParseAddr(string(h)); err == nil {
		d.bad(field, "%q is an address, where a host name is needed", h)
		return
	}
	d.is(hostForm, field, string(h))
}

// ruleNames checks that no two rules have one name.
func (d *decoder) ruleNames(names []*gatewayv1.SectionName) {
	first := map[gatewayv1.SectionName]int{}
	for i, n := range names {
		if n == nil {
			continue
		}
		field := input.Field(input.Element("spec.rules", i), "name")
		d.is(sectionForm, field, string(*n))
		if j, again := first[*n]; again {
			f := report.New(report.BadValue, d.Ref(field), fmt.Sprintf("rule %q is there already", *n))
			d.found = append(d.found, f.With(d.Ref(input.Element("spec.rules", j))))
		} else {
			first[*n] = i
		}
	}
}

// matches checks how many matches there are in all rules.
func (d *decoder) matches(n int) {
	if n > 128 {
		d.bad("spec.rules", "%d matches in all rules, of which there may be at most 128", n)
	}
}

func (d *decoder) backendRef(at string, b gatewayv1.BackendRef) {
	d.objectRef(at, b.BackendObjectReference)
	if b.Weight != nil {
		d.between(input.Field(at, "weight"), int(*b.Weight), 0, 1_000_000)
	}
}

func (d *decoder) objectRef(at string, b gatewayv1.BackendObjectReference) {
	check(d, groupForm, input.Field(at, "group"), b.Group)
	check(d, kindForm, input.Field(at, "kind"), b.Kind)
	check(d, labelForm, input.Field(at, "namespace"), b.Namespace)
	d.needs(nameForm, input.Field(at, "name"), string(b.Name))
	d.port(input.Field(at, "port"), b.Port)
	if b.Port == nil && value(b.Group, "") == "" && value(b.Kind, kube.KindService) == kube.KindService {
		d.say(report.MissingField, input.Field(at, "port"), "port is missing: which port of the Service is called")
	}
}
