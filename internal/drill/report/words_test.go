package report

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestNumbersAreWrittenForPeople(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{
		0: "0", 7: "7", 999: "999", 1000: "1,000", 12345: "12,345", 3600000: "3,600,000", -5: "-5", -999: "-999",
		-1000: "-1,000", -123456: "-123,456",
	} {
		assert.Equal(t, want, number(n))
	}
	for s, want := range map[float64]string{
		0: "0s", -1: "0s", 0.0000004: "0.0ms", 0.0012: "1.2ms", 0.00994: "9.9ms", 0.00995: "10ms", 0.21: "210ms",
		0.9994: "999ms", 0.9995: "1.0s", 3.2: "3.2s", 66.84: "66.8s", 119.94: "119.9s", 119.95: "2m0s", 3725: "1h2m5s",
	} {
		assert.Equal(t, want, seconds(s))
	}
}
