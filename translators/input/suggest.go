package input

import (
	"slices"
	"strings"
)

// closest returns the candidate that is most likely meant by a misspelt word,
// or "": one that differs in case only, or by at most two edits.
func closest(word string, candidates []string) string {
	best, distance := "", 3
	for _, c := range slices.Sorted(slices.Values(candidates)) {
		if strings.EqualFold(c, word) {
			return c
		}
		if d := edits(word, c); d < distance && d < len(c)-1 {
			best, distance = c, d
		}
	}
	return best
}

// edits counts the letters to add, drop or replace to turn a into b, with a
// swap of neighbours counting as one; 3 stands for 3 and more.
func edits(a, b string) int {
	if len(a)-len(b) > 2 || len(b)-len(a) > 2 || len(a) > 100 {
		return 3
	}
	before, last, row := []int(nil), []int(nil), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return min(row[len(b)], 3)
}
