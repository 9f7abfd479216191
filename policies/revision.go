package policies

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// revision is a whole number, or the three numbers of a semantic version.
type revision []uint64

// revisionForm has no room for leading zeros: one revision has one form.
var revisionForm = regexp.MustCompile(`^(0|[1-9][0-9]{0,17})(\.(0|[1-9][0-9]{0,17})){0,2}$`)

func parseRevision(text string) (revision, error) {
	parts := strings.Split(text, ".")
	if !revisionForm.MatchString(text) || len(parts) == 2 {
		return nil, fmt.Errorf("%q is no revision: want a whole number, or a version such as 1.4.0", text)
	}
	var r revision
	for _, part := range parts {
		n, err := strconv.ParseUint(part, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("reading a revision: %w", err)
		}
		r = append(r, n)
	}
	return r, nil
}

// atMost refuses a revision that is older than r, and one that cannot be
// compared with it.
func (r revision) atMost(text string) error {
	other, err := parseRevision(text)
	switch {
	case err != nil || len(other) != len(r):
		return refuse("revision %q cannot be compared with revision %s, which is the oldest that is taken", text, r)
	case slices.Compare(other, r) < 0:
		return refuse("revision %s is older than revision %s, which is the oldest that is taken", text, r)
	}
	return nil
}

func (r revision) String() string {
	parts := make([]string, len(r))
	for i, n := range r {
		parts[i] = strconv.FormatUint(n, 10)
	}
	return strings.Join(parts, ".")
}
