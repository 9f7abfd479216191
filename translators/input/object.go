package input

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshknot/meshknot/translators/report"
)

// annotationPrefix is what the annotations that are kept start with.
const annotationPrefix = "meshknot.io/"

// entry is one object of a document on its way to become an Object.
type entry struct {
	// home is where its positions are looked up.
	home  home
	node  *node
	flaws flaws
	// apiVersion and kind are those that a typed list gives its items.
	apiVersion, kind string
	// broken: it has a finding that rejects it.
	broken bool
	// decoded is what its schema made of it already, or nil.
	decoded *decoded
}

// object reads one object, or each of a list.
func (r *reading) object(e entry) {
	if !r.counted(e.home.file) {
		return
	}
	if e.node.kind != object {
		r.add(report.Undecodable, e.home.at(""), report.Ref{}, "a document must be an object, found "+e.node.describe(), "")
		return
	}
	if !r.identified(&e) {
		return
	}
	group, version, ok := strings.Cut(e.apiVersion, "/")
	if !ok {
		group, version = "", group
	}
	schemas := r.schemas[groupKind{group, e.kind}]
	switch {
	case len(schemas) == 0 && strings.HasSuffix(e.kind, "List") && isList(e.node):
		r.items(e)
	case len(schemas) == 0:
		r.ignored(e, group, version)
	default:
		r.known(e, group, version, schemas)
	}
}

func isList(n *node) bool {
	i := n.find("items")
	return i >= 0 && (n.items[i].kind == list || n.items[i].kind == null)
}

// identified finds apiVersion and kind, without which nothing can be read.
func (r *reading) identified(e *entry) bool {
	e.apiVersion = cmp.Or(e.node.str("apiVersion"), e.apiVersion)
	e.kind = cmp.Or(e.node.str("kind"), e.kind)
	for _, f := range []struct{ name, value string }{{"apiVersion", e.apiVersion}, {"kind", e.kind}} {
		if f.value != "" {
			continue
		}
		ref := report.Ref{Kind: e.kind, Name: e.node.get("metadata").name(), Field: f.name}
		if v := e.node.get(f.name); v != nil && v.kind != null && v.kind != text {
			r.add(report.WrongType, e.home.at(f.name), ref, "found "+v.describe()+", expected a string", "")
		} else {
			r.add(report.MissingField, e.home.at(""), ref, f.name+" is missing", "")
		}
	}
	return e.apiVersion != "" && e.kind != ""
}

// name returns the name in metadata as it is written, whatever its type.
func (n *node) name() string {
	if v := n.get("name"); v != nil && v.kind != null {
		return v.scalar
	}
	return ""
}

func (r *reading) items(e entry) {
	for _, p := range e.flaws[e.node] {
		r.problem(e.home, ID{}, p)
	}
	inherited := entry{}
	if kind := strings.TrimSuffix(e.kind, "List"); kind != "" {
		inherited.apiVersion, inherited.kind = e.apiVersion, kind
	}
	for _, item := range e.node.get("items").items {
		if r.full {
			return
		}
		inherited.node, inherited.flaws = item, e.flaws
		inherited.home = home{e.home.file, item}
		r.object(inherited)
	}
}

// ignored says that a kind is not read, and keeps the document for rules.
func (r *reading) ignored(e entry, group, version string) {
	meta := e.node.get("metadata")
	id := ID{Group: group, Kind: e.kind, Namespace: meta.str("namespace"), Name: meta.name()}
	r.others = append(r.others, candidate{object: Object{ID: id, Version: version}, node: e.node, home: e.home})
	ref := id.Ref("")
	var kinds []string
	for gk := range r.schemas {
		if gk.group == group {
			kinds = append(kinds, gk.kind)
		}
	}
	hint := ""
	if k := r.wires.closest(e.kind, kinds); k != "" {
		hint = fmt.Sprintf("did you mean kind %s?", k)
	}
	r.add(report.IgnoredKind, e.home.at(""), ref, "nothing is read from "+shorten(e.apiVersion)+" "+shorten(e.kind), hint)
}

// known reads an object of a kind that has schemas.
func (r *reading) known(e entry, group, version string, schemas []Schema) {
	i := slices.IndexFunc(schemas, func(s Schema) bool { return s.Version == version })
	known := i >= 0
	if !known {
		i = len(schemas) - 1 // what a rejected object says is guessed by the last one
	}
	s := schemas[i]
	id := r.named(&e, group, s)
	if !known {
		e.broken = true
		var versions []string
		for _, s := range schemas {
			versions = append(versions, s.Version)
		}
		r.add(report.UnknownVersion, e.home.at("apiVersion"), id.Ref("apiVersion"),
			fmt.Sprintf("version %s is not known; known are %s", shorten(quote(version)), strings.Join(versions, ", ")), "")
	}
	for _, p := range e.flaws.within(e.node) {
		e.broken = true
		r.problem(e.home, id, p)
	}
	d := e.decoded
	if d == nil {
		without := map[*node]bool{}
		for _, m := range r.wires.check(e.node, s) {
			without[m.node] = true
			if known {
				e.broken = true
				r.add(m.code, e.placeOf(m), id.Ref(m.field()), m.message, m.hint)
			}
		}
		d = decode(e.node, id, s, without)
	}
	o := Object{ID: id, Version: version, Value: d.value}
	r.metadata(&e, &o)
	r.accept(&e, &o, d)
	o.Rejected = e.broken
	r.found[id] = append(r.found[id], candidate{object: o, node: e.node, home: e.home})
}

// placeOf returns where a mismatch stands. What a build made of several files
// is looked up by its path, all else stands where its node does.
func (e *entry) placeOf(m mismatch) report.Position {
	switch {
	case e.home.root == e.node && m.key != "":
		return report.Position{File: e.home.file, Line: int(m.where.line), Column: int(m.where.column)}
	case e.home.root == e.node:
		return report.Position{File: e.home.file, Line: int(m.node.line), Column: int(m.node.column)}
	case m.key != "":
		return e.home.atKey(m.parent, m.key)
	}
	return e.home.at(m.parent)
}

// named finds the object's ID.
func (r *reading) named(e *entry, group string, s Schema) ID {
	id := identity(e.node, group, s)
	wrong := func(code report.Code, field, message, hint string) {
		e.broken = true
		r.add(code, e.home.at(field), id.Ref(field), message, hint)
	}
	switch {
	case id.Name == "":
		hint := ""
		if e.node.get("metadata").str("generateName") != "" {
			hint = "generateName makes a name when the object is created; give it a name that it can be referred to by"
		}
		wrong(report.MissingField, "metadata.name", "metadata.name is missing", hint)
	case len(id.Name) > 253 || !isSubdomain(id.Name):
		wrong(report.BadName, "metadata.name", shorten(quote(id.Name))+" is no DNS-1123 subdomain", "")
	}
	if id.Namespace != "" && (len(id.Namespace) > 63 || !isLabel(id.Namespace)) {
		wrong(report.BadName, "metadata.namespace", shorten(quote(id.Namespace))+" is no DNS-1123 label",
			"a namespace has lower-case letters, digits and -, starts and ends with a letter or digit, and has at most 63 characters")
	}
	return id
}

// identity returns the ID of an object as it is written.
func identity(n *node, group string, s Schema) ID {
	meta := n.get("metadata")
	id := ID{Group: group, Kind: s.Kind, Name: meta.name()}
	if !s.Cluster {
		id.Namespace = cmp.Or(meta.str("namespace"), "default")
	}
	return id
}

// isSubdomain reports whether a name is labels with dots between them.
func isSubdomain(name string) bool {
	for label := range strings.SplitSeq(name, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

// isLabel reports whether a name has lower-case letters and digits and, between
// them, hyphens.
func isLabel(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && (c != '-' || i == 0 || i == len(name)-1) {
			return false
		}
	}
	return name != ""
}

// metadata reads what is kept of metadata besides the names.
func (r *reading) metadata(e *entry, o *Object) {
	meta := e.node.get("metadata")
	o.Labels = meta.get("labels").strings("")
	o.Annotations = meta.get("annotations").strings(annotationPrefix)
	created := meta.get("creationTimestamp")
	if created == nil || created.kind == null {
		return
	}
	t, err := time.Parse(time.RFC3339, created.scalar)
	if err != nil {
		e.broken = true
		r.add(report.WrongType, e.home.at("metadata.creationTimestamp"), o.Ref("metadata.creationTimestamp"),
			"found "+created.describe()+", expected a time as in RFC 3339", "")
		return
	}
	o.Created = t.UTC()
}

// strings returns the strings of an object whose keys have a prefix, or nil.
func (n *node) strings(prefix string) map[string]string {
	var out map[string]string
	if n == nil {
		return nil
	}
	for i, k := range n.keys {
		if strings.HasPrefix(k.name, prefix) && n.items[i].kind == text {
			if out == nil {
				out = map[string]string{}
			}
			out[k.name] = n.items[i].scalar
		}
	}
	return out
}

// accept reports what decoding an object found. Of a broken object nothing more is
// reported.
func (r *reading) accept(e *entry, o *Object, d *decoded) {
	if e.broken {
		return
	}
	failed := slices.ContainsFunc(d.found, func(f report.Finding) bool { return f.Severity == report.Error })
	for _, f := range d.found {
		if f.At == (report.Position{}) && f.Source.Object() == o.Ref("") {
			f.At = e.home.at(f.Source.Field)
		}
		r.report = append(r.report, f)
	}
	if d.err != nil && !failed {
		failed = true
		r.add(report.BadValue, e.home.at(""), o.Ref(""), d.err.Error(), "")
	}
	e.broken = failed
}
