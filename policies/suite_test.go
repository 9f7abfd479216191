package policies

import (
	"strings"
	"testing"
	"testing/fstest"
)

// team is a folder of rules with something wrong at every turn.
func team() fstest.MapFS {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	const sample = "apiVersion: split.smi-spec.io/v1alpha4\nkind: TrafficSplit\nmetadata: {name: %s, namespace: shop}\n"
	return fstest.MapFS{
		"owner/rule.rego": file("package owner\n\ndeny contains \"x\" if input.metadata.name == \"bad\"\n\ndeny contains \"y\" if input.never\n"),
		"owner/rule_test.rego": file(`package owner_test

import data.owner

test_right if count(owner.deny) == 1 with input as {"metadata": {"name": "bad"}}

test_wrong if {
	print("looked")
	twice({"metadata": {"name": "bad"}})
}

twice(object) if {
	count(owner.deny) == 2 with input as object
}

todo_test_later if false
`),
		"owner/samples/pass.yaml":      file(strings.ReplaceAll(sample, "%s", "bad")),
		"owner/samples/fail.yaml":      file(strings.ReplaceAll(sample, "%s", "good") + "---\n" + strings.ReplaceAll(sample, "%s", "better")),
		"owner/samples/near-miss.yaml": file(strings.ReplaceAll(sample, "%s", "good")),
		"slow/rule.rego":               file(slow),
		"slow/samples/fail.yaml":       file(strings.ReplaceAll(sample, "%s", "any")),
		"yaml/rule.rego":               file("package y\n\ndeny contains \"x\""),
		"yaml/samples/fail.yaml":       file("a: b: c"),
		"refused.rego":                 file("package refused\n\ndeny contains \"x\" if http.send({})"),
	}
}

func TestTest(t *testing.T) {
	tests := []struct {
		name, run string
		want      map[string]string // name to outcome: pass, skip, or part of the message
	}{
		{
			name: "all",
			want: map[string]string{
				"owner_test.test_right":        "pass",
				"owner_test.test_wrong":        "line 9 does not hold",
				"owner_test.todo_test_later":   "skip",
				"owner/samples/pass.yaml":      "TrafficSplit shop/bad: MK4001 owner: x",
				"owner/samples/fail.yaml":      "finds nothing",
				"owner/samples/near-miss.yaml": "pass",
				"slow/samples/fail.yaml":       "MK4003",
				"yaml/samples/fail.yaml":       "reading the sample",
				"refused.rego":                 "MK4004 http.send is not allowed",
			},
		}, {
			name: "some",
			run:  "^owner_test.test_right$|near-miss",
			want: map[string]string{
				"owner_test.test_right":        "pass",
				"owner/samples/near-miss.yaml": "pass",
				"refused.rego":                 "MK4004 http.send is not allowed",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			results, err := Test(t.Context(), team(), tt.run)
			if err != nil {
				t.Fatal(err)
			}
			if len(results) != len(tt.want) {
				t.Errorf("got %d results, want %d: %+v", len(results), len(tt.want), results)
			}
			for _, r := range results {
				outcome := r.Message
				switch {
				case r.Skipped:
					outcome = "skip"
				case r.Passed:
					outcome = "pass"
				}
				if want := tt.want[r.Name]; want == "" || !strings.Contains(outcome, want) {
					t.Errorf("%s: got %q, want %q", r.Name, outcome, want)
				}
				if r.Name == "owner_test.test_wrong" && (r.File != "owner/rule_test.rego" || r.Line != 7 || !strings.Contains(r.Output, "looked")) {
					t.Errorf("got %+v", r)
				}
			}
		})
	}
}

func TestCoverageOfTests(t *testing.T) {
	_, coverage, err := TestCoverage(t.Context(), team(), "owner_test")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range coverage {
		if c.File == "owner/rule.rego" {
			if c.Percent <= 0 || c.Percent >= 100 || len(c.Missed) == 0 || c.Missed[0] != 5 {
				t.Errorf("got %+v, want line 5 missed", c)
			}
			return
		}
	}
	t.Errorf("no coverage of the rule: %+v", coverage)
}

func TestTestErrors(t *testing.T) {
	if _, err := Test(t.Context(), team(), "("); err == nil {
		t.Error("an expression that is none must be an error")
	}
	if _, err := Test(t.Context(), fstest.MapFS{}, ""); err == nil {
		t.Error("a folder without rules must be an error")
	}
}
