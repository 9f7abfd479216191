package verify

import (
	"testing"

	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/semantics"
)

func TestHas(t *testing.T) {
	for _, c := range []struct {
		on   feature.On
		q    semantics.Request
		want bool
	}{
		{feature.OnBrace, semantics.Request{Path: "/a/{id}"}, true},
		{feature.OnBrace, semantics.Request{Path: "/a?x={id}"}, false},
		{feature.OnNotPost, semantics.Request{Method: "GET"}, true},
		{feature.OnNotPost, semantics.Request{Method: "POST"}, false},
		{feature.OnNotPost, semantics.Request{Raw: true}, false},
		{feature.OnComma, semantics.Request{Headers: map[string][]string{"x": {"a", "b"}}}, true},
		{feature.OnComma, semantics.Request{Headers: map[string][]string{"x": {"a,b"}}}, true},
		{feature.OnComma, semantics.Request{Headers: map[string][]string{"x": {"a"}, "y": {"b"}}}, false},
	} {
		if got := Has(c.q, c.on); got != c.want {
			t.Errorf("%s of %v: %v", c.on, c.q, got)
		}
	}
}
