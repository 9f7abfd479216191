package cli

import (
	"bytes"
	"os"
	"testing"
)

// TestColored: color is for terminals whose user has nothing against it, or for
// those who ask.
func TestColored(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("!! no terminal to be had: %v", err)
	}
	defer terminal.Close()
	for _, test := range []struct {
		name          string
		color         string
		noColor, term string
		w             any
		want          bool
	}{
		{"terminal", "auto", "", "xterm", terminal, true},
		{"NO_COLOR", "auto", "1", "xterm", terminal, false},
		{"dumb terminal", "auto", "", "dumb", terminal, false},
		{"no terminal", "auto", "", "xterm", &bytes.Buffer{}, false},
		{"asked for", "always", "1", "dumb", &bytes.Buffer{}, true},
		{"not wanted", "never", "", "xterm", terminal, false},
	} {
		t.Setenv("NO_COLOR", test.noColor)
		t.Setenv("TERM", test.term)
		if got := (&findingFlags{color: test.color}).colored(test.w); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
