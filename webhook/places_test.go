package webhook

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
)

// TestOverload: what is beyond the requests that are judged and those that wait is
// refused at once and says why; who waits is answered in time or told so by the deadline
// that the API server gave, and makes room for others.
func TestOverload(t *testing.T) {
	body, _ := json.Marshal(admissionv1.AdmissionReview{Request: new(request(admissionv1.Create, splitOf(good), nil))})
	judged, release := make(chan struct{}, 16), make(chan struct{})
	h := handler(t, func(context.Context) { judged <- struct{}{}; <-release }, Options{Concurrent: 2, Waiting: 3, Deadline: time.Minute})
	var all sync.WaitGroup
	answers := make(chan *httptest.ResponseRecorder, 16)
	put := func(n int, path string) {
		for range n {
			all.Go(func() { answers <- asked(h, body, path) })
		}
	}
	put(2, "/validate")
	<-judged
	<-judged
	put(2, "/validate")
	put(1, "/validate?timeout=300ms") // of which a part is for the way back
	until(t, "three that wait", func() bool { return h.places.waiting.Load() == 3 })
	begin := time.Now()
	for range 50 {
		if w := asked(h, body, "/validate"); w.Code != http.StatusTooManyRequests || !strings.Contains(w.Body.String(), "2 are judged and 3 wait") || w.Header().Get("Retry-After") != "" {
			t.Fatalf("%d %s %v", w.Code, w.Body, w.Header())
		}
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("50 refusals took %v", took)
	}
	if w := <-answers; w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "too many requests at a time: context deadline exceeded") {
		t.Errorf("at the deadline: %d %s", w.Code, w.Body)
	}
	put(1, "/validate") // in the place of the one that went
	until(t, "three that wait again", func() bool { return h.places.waiting.Load() == 3 })
	close(release)
	all.Wait()
	close(answers)
	for w := range answers {
		if w.Code != http.StatusOK {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	if left := h.places.waiting.Load(); left != 0 {
		t.Errorf("%d are said to wait", left)
	}
}

// TestWorkersEnd: workers take what comes one after the other, and end where nothing
// does.
func TestWorkersEnd(t *testing.T) {
	p := newPlaces(1, 0)
	for range 3 {
		done := make(chan struct{})
		p.do(func() { close(done) })
		<-done
	}
	until(t, "a worker that waits", func() bool {
		select {
		case p.work <- func() {}:
			return true
		default:
			return false
		}
	})
	time.Sleep(3 * idle)
	select {
	case p.work <- func() {}:
		t.Error("a worker is still there")
	default:
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no " + what)
		}
	}
}
