package routes

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
)

func (r reader) backend(w wireBackend) (Backend, error) {
	out := Backend{Group: or(w.Group, ""), Kind: or(w.Kind, "Service"),
		Service: ir.Name{Namespace: orText(w.Namespace, r.namespace), Name: w.Name}, Port: w.Port, Weight: 1}
	if w.Weight != nil {
		out.Weight = *w.Weight
	}
	if w.Name == "" || out.Weight < 0 || out.Weight > maxWeight || w.Port < 0 || w.Port > 65535 {
		return out, fmt.Errorf("no name, or a weight or port out of range")
	}
	if out.Group == "" && out.Kind == "Service" && out.Port == 0 {
		return out, fmt.Errorf("a Service without its port")
	}
	var rule Rule
	if err := r.filters(w.Filters, &rule); err != nil {
		return out, err
	}
	if rule.Redirect != nil || rule.Rewrite != nil || rule.Mirrors != nil {
		return out, fmt.Errorf("it redirects, rewrites or mirrors, which is not known here")
	}
	out.Edits = rule.Edits
	return out, nil
}

// filters reads what a rule does with requests on their way. All but the mirror
// may be there once.
func (r reader) filters(all []wireFilter, out *Rule) error {
	if len(all) > maxList {
		return fmt.Errorf("more than %d filters", maxList)
	}
	seen := map[string]bool{}
	for _, f := range all {
		if f.Type != "RequestMirror" && seen[f.Type] {
			return fmt.Errorf("two filters %s", f.Type)
		}
		seen[f.Type] = true
		if err := r.filter(f, out); err != nil {
			return fmt.Errorf("filter %s: %w", f.Type, err)
		}
	}
	return nil
}

func (r reader) filter(f wireFilter, out *Rule) (err error) {
	switch {
	case f.Type == "RequestHeaderModifier" && f.Request != nil:
		out.Edits.Request, err = edit(*f.Request)
	case f.Type == "ResponseHeaderModifier" && f.Response != nil:
		out.Edits.Response, err = edit(*f.Response)
	case f.Type == "RequestRedirect" && f.Redirect != nil:
		out.Redirect, err = redirect(*f.Redirect)
	case f.Type == "URLRewrite" && f.Rewrite != nil:
		out.Rewrite = &Rewrite{Host: f.Rewrite.Hostname}
		out.Rewrite.Path, err = pathEdit(f.Rewrite.Path)
	case f.Type == "RequestMirror" && f.Mirror != nil:
		return r.mirror(*f.Mirror, out)
	default:
		return fmt.Errorf("it is not known, or says nothing")
	}
	return err
}

func edit(w wireEdit) (*ir.HeaderEdit, error) {
	out := &ir.HeaderEdit{}
	seen := map[string]bool{}
	for _, list := range []struct {
		in   []wireHeader
		into *[]ir.Header
	}{{w.Set, &out.Set}, {w.Add, &out.Add}} {
		if len(list.in) > maxList {
			return nil, fmt.Errorf("more than %d headers", maxList)
		}
		names := map[string]bool{}
		for _, h := range list.in {
			if h.Name == nil || h.Value == nil || *h.Name == "" || *h.Value == "" {
				return nil, fmt.Errorf("a header without a name or a value")
			}
			name := strings.ToLower(*h.Name)
			if names[name] {
				return nil, fmt.Errorf("the header %s twice", name)
			}
			names[name], seen[name] = true, true
			*list.into = append(*list.into, ir.Header{Name: name, Value: *h.Value})
		}
	}
	if len(w.Remove) > maxList {
		return nil, fmt.Errorf("more than %d headers are removed", maxList)
	}
	for _, n := range w.Remove {
		out.Remove = append(out.Remove, strings.ToLower(n))
	}
	return out, nil
}

func redirect(w wireRedirect) (*Redirect, error) {
	out := &Redirect{Scheme: w.Scheme, Host: w.Hostname, Port: w.Port}
	if w.StatusCode != nil {
		out.Status = *w.StatusCode
		if !slices.Contains([]int{301, 302, 303, 307, 308}, out.Status) {
			return nil, fmt.Errorf("status %d", out.Status)
		}
	}
	if !slices.Contains([]string{"", "http", "https"}, w.Scheme) || w.Port < 0 || w.Port > 65535 {
		return nil, fmt.Errorf("scheme %q, port %d", w.Scheme, w.Port)
	}
	var err error
	out.Path, err = pathEdit(w.Path)
	return out, err
}

func pathEdit(w *wirePathEdit) (*ir.PathEdit, error) {
	switch {
	case w == nil:
		return nil, nil
	case w.Type == "ReplaceFullPath" && w.Full != nil && w.Prefix == nil && len(*w.Full) <= maxPath:
		return &ir.PathEdit{Value: *w.Full}, nil
	case w.Type == "ReplacePrefixMatch" && w.Prefix != nil && w.Full == nil && len(*w.Prefix) <= maxPath:
		return &ir.PathEdit{Prefix: true, Value: *w.Prefix}, nil
	}
	return nil, fmt.Errorf("a path is replaced as a whole or by its prefix")
}

func (r reader) mirror(w wireMirror, out *Rule) error {
	if w.BackendRef == nil || w.Percent != nil && w.Fraction != nil {
		return fmt.Errorf("no backend, or two shares")
	}
	b, err := r.backend(*w.BackendRef)
	if err != nil {
		return err
	}
	m := Mirror{Backend: b, Percent: 100}
	if w.Percent != nil {
		m.Percent = float64(*w.Percent)
	}
	if f := w.Fraction; f != nil {
		n, d := uint32(0), uint32(100)
		if f.Denominator != nil {
			d = *f.Denominator
		}
		if f.Numerator == nil || d == 0 {
			return fmt.Errorf("a fraction without numerator, or of nothing")
		}
		n = *f.Numerator
		m.Percent = 100 * float64(n) / float64(d)
	}
	if m.Percent > 100 {
		return fmt.Errorf("more than all requests")
	}
	out.Mirrors = append(out.Mirrors, m)
	return nil
}
