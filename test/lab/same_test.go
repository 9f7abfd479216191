package lab

import "testing"

// TestPlace: an address is one place in whatever way it is written.
func TestPlace(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"http://a.example:80/x", "http://A.example/x", true},
		{"https://a.example:443/x?q=/../y", "https://a.example/./x?q=/../y", true},
		{"https://a.example:80/x", "https://a.example/x", false},
		{"http://a.example/x?q", "http://a.example/x", false},
		{"/x", "/y", false},
	} {
		if got := Place(c.a) == Place(c.b); got != c.same {
			t.Errorf("%s (%s) and %s (%s): one place %v", c.a, Place(c.a), c.b, Place(c.b), got)
		}
	}
}

// TestSameLines: lines may be joined, and no line at all is not an empty one.
func TestSameLines(t *testing.T) {
	for _, c := range []struct {
		got, want []string
		same      bool
	}{
		{[]string{"a, b"}, []string{"a", "b"}, true},
		{[]string{"b", "a"}, []string{"a", "b"}, false},
		{[]string{""}, nil, false},
		{nil, []string{""}, false},
		{nil, nil, true},
	} {
		text := SameLines(map[string][]string{"x": c.got, "more": {"1"}}, map[string][]string{"x": c.want, "host": {"any"}})
		if (text == "") != c.same {
			t.Errorf("%q for %q: %q", c.got, c.want, text)
		}
	}
	cookie := func(lines ...string) map[string][]string { return map[string][]string{"cookie": lines} }
	if text := SameLines(cookie("a=1; b=2"), cookie("a=1", "b=2")); text != "" {
		t.Error(text)
	}
	if SameLines(cookie("a=1,b=2"), cookie("a=1", "b=2")) == "" {
		t.Error("cookies are joined by a comma")
	}
}
