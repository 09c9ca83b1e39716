// Package nearest finds the word that someone may have meant.
package nearest

import (
	"math"
	"strings"
)

// To returns the candidate most similar to word, ignoring case, and whether it is similar enough to
// suggest: at most a third of the longer one's letters differ (insertions, deletions, substitutions and
// swaps of neighbours). The word itself is never suggested.
func To(word string, candidates []string) (string, bool) {
	return within(math.MaxInt, word, candidates)
}

// Slip is To for words of which many are alike on purpose: at most two letters differ.
func Slip(word string, candidates []string) (string, bool) {
	return within(2, word, candidates)
}

func within(most int, word string, candidates []string) (string, bool) {
	best, bestDistance := "", -1
	letters := []rune(strings.ToLower(word))
	for _, c := range candidates {
		if c == word {
			continue
		}
		others, limit := []rune(strings.ToLower(c)), min(most, max(len(word), len(c))/3)
		if max(len(letters)-len(others), len(others)-len(letters)) > limit { // the distance is that at least
			continue
		}
		d := distance(letters, others)
		if d > limit {
			continue
		}
		if bestDistance < 0 || d < bestDistance || d == bestDistance && c < best {
			best, bestDistance = c, d
		}
	}
	return best, bestDistance >= 0
}

// distance is the optimal string alignment distance of a and b.
func distance(a, b []rune) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
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
		before, last, row = last, row, before
	}
	return last[len(b)]
}
