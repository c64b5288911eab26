package policy

import (
	"fmt"
	"time"
)

// String returns d as a policy writes it: "90s", "2m0s".
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText writes d as [Duration.String] does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a number with a unit, such as "90s" or "1m30s". A number without a unit is an error.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("parse duration %q: want a number with a unit, such as 90s or 2m", text)
	}
	*d = Duration(parsed)
	return nil
}
