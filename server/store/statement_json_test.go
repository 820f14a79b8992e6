package store

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// TestLongestIsNotBelowAverage: of less than a microsecond something is left.
func TestLongestIsNotBelowAverage(t *testing.T) {
	for longest, want := range map[time.Duration]string{0: `"max_us":0`, 1: `"max_us":1`, time.Microsecond: `"max_us":1`, time.Microsecond + 1: `"max_us":2`} {
		body, err := json.Marshal(StatementStats{MaxElapsed: longest})
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%v: %s, %v, want %s", longest, body, err, want)
		}
	}
}
