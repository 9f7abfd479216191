package envoy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/meshknot/meshknot/translators/ir"
)

// edit is what one level (a share, a route, a virtual host) does to headers: it
// removes before it adds.
type edit struct {
	remove []string
	add    []addition
}

type addition struct {
	name, value string
	action      corev3.HeaderValueOption_HeaderAppendAction
}

// readEdit reads an edit of headers. The host and what HTTP/2 calls
// pseudo-headers cannot be edited.
func readEdit(add []*corev3.HeaderValueOption, remove []string) (edit, error) {
	var out edit
	for _, name := range remove {
		name = strings.ToLower(name)
		if name == "host" || strings.HasPrefix(name, ":") {
			return out, fmt.Errorf("header %s cannot be removed", name)
		}
		out.remove = append(out.remove, name)
	}
	for _, o := range add {
		name := strings.ToLower(o.GetHeader().GetKey())
		if name == "" || name == "host" || strings.HasPrefix(name, ":") {
			return out, fmt.Errorf("header %q cannot be set", name)
		}
		if o.GetAppend() != nil { //nolint:staticcheck // it would count
			return out, fmt.Errorf("header %s: append is not understood", name)
		}
		if o.GetHeader().GetValue() == "" && !o.GetKeepEmptyValue() {
			continue // nothing is added then
		}
		value, err := literal(o.GetHeader().GetValue())
		if err != nil {
			return out, fmt.Errorf("header %s: %w", name, err)
		}
		out.add = append(out.add, addition{name, value, o.GetAppendAction()})
	}
	return out, nil
}

// literal is the text of a format that names no variable: two percent signs are one.
func literal(format string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] == '%' {
			if i++; i == len(format) || format[i] != '%' {
				return "", fmt.Errorf("%q names a variable", format)
			}
		}
		b.WriteByte(format[i])
	}
	return b.String(), nil
}

// lines is what is known of a header while it is edited.
type lines struct {
	// own: the lines that it came with are still there, before those of values.
	own    bool
	values []string
}

// sum is one edit that does what several do, one after the other: known are the
// names of the headers that are there, all where it is nil. Nothing is nil.
func sum(all []edit, known map[string][]string) *ir.HeaderEdit {
	state := map[string]lines{}
	at := func(name string) lines {
		if l, ok := state[name]; ok {
			return l
		}
		return lines{own: known == nil || len(known[name]) > 0}
	}
	for _, e := range all {
		for _, name := range e.remove {
			state[name] = lines{}
		}
		for _, a := range e.add {
			l := at(a.name)
			there := l.own || len(l.values) > 0
			switch a.action {
			case corev3.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD:
				l.values = append(slices.Clip(l.values), a.value)
			case corev3.HeaderValueOption_ADD_IF_ABSENT:
				if !there {
					l.values = []string{a.value}
				}
			case corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD:
				l = lines{values: []string{a.value}}
			case corev3.HeaderValueOption_OVERWRITE_IF_EXISTS:
				if there {
					l = lines{values: []string{a.value}}
				}
			}
			state[a.name] = l
		}
	}
	return edited(state)
}

// edited says in the model's words what has become of headers.
func edited(state map[string]lines) *ir.HeaderEdit {
	out := &ir.HeaderEdit{}
	for _, name := range slices.Sorted(maps.Keys(state)) {
		values := state[name].values
		switch {
		case !state[name].own && len(values) == 0:
			out.Remove = append(out.Remove, name)
			continue
		case !state[name].own:
			out.Set = append(out.Set, ir.Header{Name: name, Value: values[0]})
			values = values[1:]
		}
		for _, v := range values {
			out.Add = append(out.Add, ir.Header{Name: name, Value: v})
		}
	}
	if len(out.Remove)+len(out.Set)+len(out.Add) == 0 {
		return nil
	}
	return out
}
