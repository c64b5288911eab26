package hint

import "strings"

// longestSlip is the longest word, in bytes, that is compared: what is longer is no slip of the keyboard.
const longestSlip = 64

// Closest returns the one of known that name is most likely a misspelling of, or "". Case counts for nothing; of several equally
// close it is the first.
func Closest(name string, known []string) string {
	best, limit := "", len(name)/3+2
	for _, candidate := range known {
		if candidate == "" {
			continue
		}
		if d := distance(strings.ToLower(name), strings.ToLower(candidate)); d < limit && d < len(candidate) {
			best, limit = candidate, d
		}
	}
	return best
}

// distance is the least number of insertions, deletions and substitutions that turn a into b (Levenshtein).
func distance(a, b string) int {
	if max(len(a), len(b)) > longestSlip {
		return longestSlip
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitution := diagonal
			if a[i] != b[j] {
				substitution++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitution, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
