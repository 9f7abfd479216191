package xds

import (
	"cmp"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/meshknot/meshknot/translators/ir"
)

// Headers says an edit of headers: what is set or added, and what is removed
// before that. The host is not among it, see HostOf, nor is what HTTP/2 calls
// pseudo-headers; a proxy refuses both.
func Headers(e *ir.HeaderEdit) (add []*corev3.HeaderValueOption, remove []string) {
	if e == nil {
		return nil, nil
	}
	for _, name := range e.Remove {
		if editable(name) {
			remove = append(remove, name)
		}
	}
	for _, h := range e.Set {
		add = appendHeader(add, h, corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD)
	}
	for _, h := range e.Add {
		add = appendHeader(add, h, corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD)
	}
	return add, remove
}

// appendHeader appends a header with its value as it stands: a percent sign
// would begin a variable.
func appendHeader(to []*corev3.HeaderValueOption, h ir.Header, action corev3.HeaderValueOption_HeaderAppendAction) []*corev3.HeaderValueOption {
	if !editable(h.Name) {
		return to
	}
	return append(to, &corev3.HeaderValueOption{AppendAction: action, KeepEmptyValue: h.Value == "",
		Header: &corev3.HeaderValue{Key: h.Name, Value: strings.ReplaceAll(h.Value, "%", "%%")}})
}

func editable(name string) bool { return name != "host" && !strings.HasPrefix(name, ":") }

// RewrittenHost returns the host that a route asks its backends for, or nothing.
func RewrittenHost(r ir.Route) string {
	if r.Rewrite != nil && r.Rewrite.Host != "" {
		return r.Rewrite.Host
	}
	return HostOf(r.RequestHeaders)
}

// HostOf returns the host that an edit sets, or nothing.
func HostOf(e *ir.HeaderEdit) string {
	if e != nil {
		for _, h := range e.Set {
			if h.Name == "host" {
				return h.Value
			}
		}
	}
	return ""
}

// sum is one edit that does what first and then does. A name may then stand both
// in Set and in Add, which Headers says in this order.
func sum(first, then *ir.HeaderEdit) *ir.HeaderEdit {
	if first == nil || then == nil {
		return cmp.Or(first, then)
	}
	out := ir.HeaderEdit{Remove: slices.Clone(then.Remove)}
	overruled := func(name string) bool { return slices.Contains(then.Remove, name) || names(then.Set, name) }
	for _, name := range first.Remove {
		if !overruled(name) && !names(then.Add, name) {
			out.Remove = append(out.Remove, name)
		}
	}
	for _, h := range first.Set {
		if !overruled(h.Name) {
			out.Set = append(out.Set, h)
		}
	}
	for _, h := range first.Add {
		if !overruled(h.Name) {
			out.Add = append(out.Add, h)
		}
	}
	out.Set = append(out.Set, then.Set...)
	for _, h := range then.Add {
		if slices.Contains(first.Remove, h.Name) && !names(out.Set, h.Name) {
			out.Set = append(out.Set, h) // to be the only line
		} else {
			out.Add = append(out.Add, h)
		}
	}
	return &out
}

// names reports whether a header of a name is among headers.
func names(all []ir.Header, name string) bool {
	return slices.ContainsFunc(all, func(h ir.Header) bool { return h.Name == name })
}
