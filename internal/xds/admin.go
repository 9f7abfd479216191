package xds

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Admin answers /healthz, /readyz, /status and /debug/units.
func (s *Server) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !s.Ready() {
			http.Error(w, "nothing to serve yet", http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ok\n")
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, s.Status()) })
	mux.HandleFunc("GET /debug/units", func(w http.ResponseWriter, _ *http.Request) {
		if s.options.Units != nil {
			writeJSON(w, s.options.Units())
			return
		}
		s.mu.Lock()
		units := s.units
		s.mu.Unlock()
		writeJSON(w, units)
	})
	return mux
}

func writeJSON(w http.ResponseWriter, v any) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(b, '\n'))
}

// ServeAdmin answers Admin's requests on a listener until ctx ends, and closes
// it. They show the policies of everybody, so it must be a loopback listener.
func (s *Server) ServeAdmin(ctx context.Context, lis net.Listener) error {
	defer lis.Close()
	if !loopback(lis.Addr()) {
		return fmt.Errorf("serving status on %s: it is for loopback only", lis.Addr())
	}
	h := &http.Server{Handler: s.Admin(), ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- h.Serve(lis) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving status on %s: %w", lis.Addr(), err)
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.Background(), s.options.Grace)
	defer cancel()
	err := h.Shutdown(bounded)
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
