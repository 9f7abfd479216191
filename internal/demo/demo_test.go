package demo

import (
	"bytes"
	"context"
	"testing"
	"time"
)

func TestDemo(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out bytes.Buffer
	ok, err := Run(ctx, &out, Options{})
	t.Logf("\n%s", out.String())
	if err != nil || !ok {
		t.Errorf("ok %t, %v", ok, err)
	}
}
