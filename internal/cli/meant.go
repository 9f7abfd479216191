package cli

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
)

// meant asks whether another word was meant, or is empty where none is like it.
func meant(prefix, word string, words []string) string {
	if best := input.Closest(word, words); best != "" {
		return fmt.Sprintf(" (did you mean %s%s?)", prefix, best)
	}
	return ""
}

// backendNames are the names that --to takes.
func backendNames(p translators.Pipeline) []string {
	names := []string{"all"}
	for _, b := range p.Backends {
		names = append(names, b.Name())
	}
	return names
}

// flagLine finds the long name of a flag in the help about it.
var flagLine = regexp.MustCompile(`(?m)^ +(?:-\w, )?--([\w-]+)`)

// misspelt adds to an error about a flag that a command does not have the one that
// may have been meant.
func misspelt(c *cobra.Command, err error) error {
	name, ok := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !ok {
		return err
	}
	var names []string
	for _, found := range flagLine.FindAllStringSubmatch(c.Flags().FlagUsages(), -1) {
		names = append(names, found[1])
	}
	return fmt.Errorf("%w%s", err, meant("--", name, names))
}
