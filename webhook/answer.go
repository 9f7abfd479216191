package webhook

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshknot/meshknot/translators/report"
)

// Bounds of what is said. An API server cuts warnings that are longer than 256
// bytes, or 4096 together; a user reads even less.
const (
	maxWarning  = 120
	maxWarnings = 24
	maxCauses   = 32
	maxMessage  = 4096
)

// response is the verdict in the API server's form.
func (v verdict) response(q *admissionv1.AdmissionRequest, took time.Duration) *admissionv1.AdmissionResponse {
	r := &admissionv1.AdmissionResponse{UID: q.UID, Allowed: len(v.denies) == 0, Warnings: warnings(v.warns), AuditAnnotations: v.audit(took)}
	if r.Allowed {
		return r
	}
	r.Result = &metav1.Status{Status: metav1.StatusFailure, Code: http.StatusUnprocessableEntity, Reason: metav1.StatusReasonInvalid,
		Details: &metav1.StatusDetails{Group: q.Kind.Group, Kind: q.Kind.Kind, Name: q.Name}}
	var said []string
	size := 0
	for i, f := range v.denies {
		text := sentence(f)
		if size += len(text) + 2; i == maxCauses || size > maxMessage {
			said = append(said, fmt.Sprintf("and %d more", len(v.denies)-i))
			break
		}
		said = append(said, text)
		r.Result.Details.Causes = append(r.Result.Details.Causes, metav1.StatusCause{
			Type: metav1.CauseType(f.Code), Field: f.Source.Field, Message: plain(f.Message)})
	}
	r.Result.Message = strings.Join(said, "; ")
	return r
}

// sentence is a finding as a user reads it: where, what, code, and what to do.
func sentence(f report.Finding) string {
	s := statement(f)
	if f.Hint != "" {
		s += ". " + plain(f.Hint)
	}
	return s
}

func statement(f report.Finding) string {
	s := fmt.Sprintf("%s (%s)", plain(f.Message), f.Code)
	if f.Backend != "" {
		s = f.Backend + ": " + s
	}
	if f.Source.Field != "" {
		s = f.Source.Field + ": " + s
	}
	return s
}

// warnings are findings in as many words as a terminal's line has.
func warnings(found report.Report) []string {
	var out []string
	for i, f := range found {
		if i == maxWarnings-1 && len(found) > maxWarnings {
			return append(out, fmt.Sprintf("and %d more warnings; the TranslationReport of the object has them", len(found)-i))
		}
		text := sentence(f)
		if len(text) > maxWarning {
			text = statement(f)
		}
		if len(text) > maxWarning {
			text = shortened(f)
		}
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}

// shortened is a statement whose message is cut, so that its code is still there.
func shortened(f report.Finding) string {
	message := plain(f.Message)
	over := len(statement(f)) + len("...") - maxWarning
	keep := max(len(message)-over, 40)
	if keep < len(message) {
		for keep > 0 && !utf8.RuneStart(message[keep]) {
			keep--
		}
		f.Message = message[:keep] + "..."
	}
	return statement(f)
}

// plain is text on one line without what a header cannot carry: values of users
// stand in messages.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, s)
}

// audit is what the API server's audit log keeps: no text of users.
func (v verdict) audit(took time.Duration) map[string]string {
	out := map[string]string{"verdict": v.name(), "duration": durationClass(took)}
	var codes []string
	for _, f := range slices.Concat(v.denies, v.warns) {
		if code := string(f.Code); !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
	}
	slices.Sort(codes)
	if len(codes) > 0 {
		out["codes"] = strings.Join(codes, ",")
	}
	return out
}

func durationClass(d time.Duration) string {
	for _, c := range []struct {
		most time.Duration
		name string
	}{{time.Millisecond, "<1ms"}, {10 * time.Millisecond, "<10ms"}, {100 * time.Millisecond, "<100ms"}, {time.Second, "<1s"}} {
		if d < c.most {
			return c.name
		}
	}
	return ">=1s"
}
