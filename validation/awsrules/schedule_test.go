package awsrules_test

import (
	"strings"
	"testing"

	"dbtier/validation/awsrules"
)

func TestRotationSchedules(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"rate(1 day)": 24, "rate(999 days)": 24, "rate(4 hours)": 4, "rate(48 hours)": 24,
		"cron(0 3 ? * SUN *)": 21, "cron(0 23 1 * ? *)": 1, "cron(0 0/8 * * ? *)": 8, "cron(0 2/10 ? * MON-FRI *)": 2,
		"cron(0 8 L * ? *)": 16, "cron(0 8 ? JAN-JUN TUE#3 *)": 16, "cron(0 8 ? 1,7 5L *)": 16, "cron(0 4,16 15W * ? *)": 8,
		"cron(0 0 29 FEB ? *)": 24, "cron(0 0 */5 * ? *)": 24, "cron(0 0 31 1-2 ? *)": 24,
	} {
		if longest, err := awsrules.CheckRotationSchedule(text); err != nil || longest != want {
			t.Errorf("%s: %d, %v, want %d", text, longest, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "want rate(", "daily": "want rate(", "rate(0 days)": "want rate(", "rate(3 hours)": "4 to 999 hours",
		"rate(1000 days)": "1 to 999 days", "rate(10 weeks)": "want rate(", "rate(10 minutes)": "want rate(",
		"cron(0 3 ? * FUNDAY *)":   `has the weekday "FUNDAY": want 1 to 7 or SUN to SAT`,
		"cron(0 3 ? * sun *)":      "has the weekday",
		"cron(0 3 ? * 0 *)":        "has the weekday",
		"cron(0 3 ? * MON#6 *)":    "has the weekday",
		"cron(0 24 ? * SUN *)":     `has the hour "24": want 0 to 23`,
		"cron(0 3 32 * ? *)":       "has the day",
		"cron(0 3 31 FEB,APR ? *)": "none of its months has",
		"cron(0 3 1 13 ? *)":       "has the month",
		"cron(0 3 1 DEC-JAN ? *)":  "has the month",
		"cron(30 3 ? * SUN *)":     `has the minute "30"`,
		"cron(0 3 ? * SUN 2026)":   `has the year "2026"`,
		"cron(0 3 * * * *)":        "wants ? for either",
		"cron(0 3 ? * ? *)":        "wants ? for either",
		"cron(0 3 * *)":            "has 4 fields",
		"cron(0 * ? * SUN *)":      "after less than 4 hours",
		"cron(0 0/3 ? * SUN *)":    "after less than 4 hours",
		"cron(0 1,23 * * ? *)":     "after less than 4 hours",
		"cron(0 3/0 ? * SUN *)":    "has the hour",
		"cron(0 +3 ? * SUN *)":     "has the hour",
	} {
		if longest, err := awsrules.CheckRotationSchedule(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %d, %v, want %s", text, longest, err, want)
		}
	}
}

// A window of the longest length never reaches into the next rotation or UTC day, and no text panics.
func FuzzRotationSchedules(f *testing.F) {
	for _, text := range []string{"rate(4 hours)", "cron(0 0/8 * * ? *)", "cron(0 3 ? * SUN *)", "cron(0 1-23/4 1,L * ? *)"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		longest, err := awsrules.CheckRotationSchedule(text)
		if err == nil && (longest < 1 || longest > 24) {
			t.Errorf("%q: %d hours", text, longest)
		}
	})
}
