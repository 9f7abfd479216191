package smi

import (
	"strings"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// serviceName reads the name of a Service in the forms that are in use: "svc",
// "svc.ns", "svc.ns.svc", "svc.ns.svc.cluster.local" and "ns/svc".
func serviceName(namespace, written string) (ir.Name, bool) {
	if ns, name, ok := strings.Cut(written, "/"); ok {
		return ir.Name{Namespace: ns, Name: name}, plain(ns) && plain(name)
	}
	parts := strings.SplitN(written, ".", 3)
	for _, p := range parts[:min(len(parts), 2)] {
		if !plain(p) {
			return ir.Name{}, false
		}
	}
	switch {
	case len(parts) == 1:
		return ir.Name{Namespace: namespace, Name: parts[0]}, true
	case len(parts) == 2, parts[2] == "svc", parts[2] == "svc.cluster.local":
		return ir.Name{Namespace: parts[1], Name: parts[0]}, true
	}
	return ir.Name{}, false
}

// plain reports whether a word has the characters of a DNS label.
func plain(word string) bool {
	for _, c := range word {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return word != ""
}

// rootOf returns the Service that a split splits. What cannot be read as a
// Service of the split's own namespace stands under what is written, which is
// the name of no Service: there it is found again and reported.
func rootOf(o input.Object, s *Split) (ir.Name, *report.Finding) {
	name, found := localName(o, s.Service, s.ServiceField)
	if found != nil && found.Severity == report.Error {
		return ir.Name{Namespace: o.Namespace, Name: " " + s.Service}, found
	}
	return name, found
}

// localName reads a Service of an object's own namespace, which is all that SMI
// lets a split name, and says what is wrong or odd about how it is written.
func localName(o input.Object, written, field string) (ir.Name, *report.Finding) {
	name, ok := serviceName(o.Namespace, written)
	var f report.Finding
	switch {
	case !ok:
		f = report.New(report.RootNameForm, o.Ref(field), quote(written)+" is no name of a Service")
		f.Severity = report.Error
	case name.Namespace != o.Namespace:
		f = report.New(report.ForeignNamespace, o.Ref(field),
			quote(written)+" is a Service of namespace "+name.Namespace+"; a split speaks of Services of its own, "+o.Namespace)
	case strings.Contains(written, "/"):
		f = report.New(report.RootNameForm, o.Ref(field), quote(written)+" is read as the Service "+name.Name+" of this namespace")
	default:
		return name, nil
	}
	return name, &f
}

func quote(s string) string { return `"` + s + `"` }
