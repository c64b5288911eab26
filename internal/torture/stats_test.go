package torture

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// interval holds the median of what the values are drawn from with a probability of at least 95 %, whatever their distribution:
// the number of values below the median is binomial. With fewer than six values no interval is that sure; it is then all of them.
func interval(values []float64) (low, high float64) {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	probability, below, rank := math.Pow(0.5, float64(n)), 0.0, 0
	for below+probability <= 0.025 {
		below += probability
		probability *= float64(n-rank) / float64(rank+1)
		rank++
	}
	rank = max(rank-1, 0)
	return sorted[rank], sorted[n-1-rank]
}

func ratios(a, b []time.Duration) []float64 {
	var divided []float64
	for i := range a {
		divided = append(divided, float64(a[i])/float64(b[i]))
	}
	return divided
}

func spread(values []time.Duration) string {
	var ms []float64
	for _, v := range values {
		ms = append(ms, float64(v.Microseconds())/1000)
	}
	return fmt.Sprintf("median %4.0f ms (%.0f to %.0f)", median(ms), slices.Min(ms), slices.Max(ms))
}

func TestInterval(t *testing.T) {
	tests := map[string]struct {
		reason    string
		n         int
		low, high float64
	}{
		"few":    {"no five values are that sure", 5, 1, 5},
		"six":    {"2/64 < 5 %", 6, 1, 6},
		"nine":   {"the second and the last but one: 20/512", 9, 2, 8},
		"thirty": {"as the tables have it", 30, 10, 21},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var values []float64
			for i := range tc.n {
				values = append(values, float64(tc.n-i))
			}
			if low, high := interval(values); low != tc.low || high != tc.high {
				t.Errorf("%s: %v to %v, want %v to %v", tc.reason, low, high, tc.low, tc.high)
			}
		})
	}
}
