package input

import (
	"slices"
	"strings"
)

// Closest returns the candidate that is most likely meant by a misspelt word,
// or "": one that differs in case only, or by at most two edits.
func Closest(word string, candidates []string) string {
	const most = 2
	best, distance := "", most+1
	for _, c := range slices.Sorted(slices.Values(candidates)) {
		if strings.EqualFold(c, word) {
			return c
		}
		if len(word)-len(c) > most || len(c)-len(word) > most || len(word) > 100 {
			continue
		}
		if d := Distance(word, c); d < distance && d < len(c)-1 {
			best, distance = c, d
		}
	}
	return best
}

// Distance counts the bytes to add, drop or replace to turn a into b, with a swap
// of neighbours counting as one. It takes time and memory by the product of their
// lengths.
func Distance(a, b string) int {
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
	return row[len(b)]
}
