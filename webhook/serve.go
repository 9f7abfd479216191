package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// margin is what is left of the API server's patience for the way back.
const margin = 200 * time.Millisecond

// trouble is why a request got no verdict. The API server takes its status for a
// failed call, and goes by the failurePolicy.
type trouble struct {
	status  int
	message string
}

func (t trouble) Error() string { return t.message }

func failed(format string, args ...any) error {
	return trouble{http.StatusInternalServerError, fmt.Sprintf(format, args...)}
}

// body reads a request, no more of it than one may have.
func (h *Handler) body(w http.ResponseWriter, r *http.Request, into any) error {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.o.Body))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return trouble{http.StatusRequestEntityTooLarge, fmt.Sprintf("a request has at most %d bytes", h.o.Body)}
	case err != nil:
		return trouble{http.StatusBadRequest, "reading the request: " + err.Error()}
	}
	if err := json.Unmarshal(text, into); err != nil {
		return trouble{http.StatusBadRequest, "not a review: " + err.Error()}
	}
	return nil
}

// deadline ends a request before the API server stops to wait for it, which it
// says in the query.
func (h *Handler) deadline(r *http.Request) (context.Context, context.CancelFunc) {
	most := h.o.Deadline
	if wait, err := time.ParseDuration(r.URL.Query().Get("timeout")); err == nil && wait > margin {
		most = min(most, wait-margin)
	}
	return context.WithTimeout(r.Context(), most)
}

func (h *Handler) validate(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	var review admissionv1.AdmissionReview
	if err := h.body(w, r, &review); err != nil {
		h.refuse(w, err)
		return
	}
	q := review.Request
	if q == nil {
		h.refuse(w, trouble{http.StatusBadRequest, "not an AdmissionReview with a request"})
		return
	}
	ctx, done := h.deadline(r)
	defer done()
	v, err := bounded(ctx, h.places, func(ctx context.Context) (verdict, error) { return h.judge(ctx, q) })
	took := time.Since(begin)
	if err != nil {
		h.observe(q, "failed", took)
		h.refuse(w, err)
		return
	}
	h.observe(q, v.name(), took)
	h.write(w, admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "AdmissionReview"},
		Response: v.response(q, took),
	})
}

func (h *Handler) observe(q *admissionv1.AdmissionRequest, verdict string, took time.Duration) {
	if h.o.Observer == nil {
		return
	}
	kind := "other"
	if _, known := h.kinds[kindName{q.Kind.Group, q.Kind.Kind}]; known {
		kind = q.Kind.Kind
	}
	operation := string(q.Operation)
	switch q.Operation {
	case admissionv1.Create, admissionv1.Update, admissionv1.Delete:
	default:
		operation = "other"
	}
	h.o.Observer.Answered(kind, operation, verdict, took)
}

// refuse answers without a verdict.
func (h *Handler) refuse(w http.ResponseWriter, err error) {
	t := trouble{http.StatusInternalServerError, err.Error()}
	errors.As(err, &t)
	http.Error(w, t.message, t.status)
}

func (h *Handler) write(w http.ResponseWriter, answer any) {
	text, err := json.Marshal(answer)
	if err != nil {
		h.refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text) // who does not listen any more has no verdict
}
