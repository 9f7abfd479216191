// Package telemetry is how a running meshknot is observed: metrics for Prometheus,
// logs as JSON, and traces from an event to the proxy that confirmed what became
// of it. No metric has a label whose values a tenant can invent.
package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// NewLogger makes a logger that writes records of at least a level ("debug",
// "info", "warn", "error") in a format ("json" or "text"). Every record has the keys
// ts (RFC 3339, UTC), level, msg and source (file:line).
func NewLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q: want debug, info, warn or error", level)
	}
	o := &slog.HandlerOptions{AddSource: true, Level: least, ReplaceAttr: plain}
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	}
	return nil, fmt.Errorf("log format %q: want json or text", format)
}

// plain gives the keys of every record their names and shapes.
func plain(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.TimeKey:
		return slog.String("ts", a.Value.Time().UTC().Format(time.RFC3339Nano))
	case slog.LevelKey:
		return slog.String("level", strings.ToLower(a.Value.String()))
	case slog.SourceKey:
		if s, ok := a.Value.Any().(*slog.Source); ok {
			dir, file := filepath.Split(s.File)
			return slog.String("source", filepath.Join(filepath.Base(dir), file)+":"+strconv.Itoa(s.Line))
		}
	}
	return a
}
