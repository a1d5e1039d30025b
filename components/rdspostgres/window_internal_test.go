package rdspostgres

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestInvalidWindows(t *testing.T) {
	t.Parallel()
	for window, reason := range map[string]string{
		"":            "want hh:mm-hh:mm in UTC, for example 03:00-04:00",
		"3:00-4:00":   "want hh:mm-hh:mm in UTC, for example 03:00-04:00",
		"24:00-01:00": "24:00 is not a time of day: want 00:00 to 23:59",
		"03:00-03:60": "03:60 is not a time of day: want 00:00 to 23:59",
		"03:00-03:29": "lasts 29 min: want at least 30",
		"03:00-03:00": "lasts 0 min: want at least 30",
	} {
		_, err := parseDaily(window)
		require.EqualError(t, err, reason, "daily %q", window)
	}
	for window, reason := range map[string]string{
		"04:00-05:00":         "want ddd:hh:mm-ddd:hh:mm in UTC, for example Mon:04:00-Mon:05:00",
		"Mon:25:00-Mon:05:00": "25:00 is not a time of day: want 00:00 to 23:59",
		"Mon:04:00-Mon:05:99": "05:99 is not a time of day: want 00:00 to 23:59",
		"Mon:04:00-Mon:04:10": "lasts 10 min: want at least 30",
		"Mon:04:00-Tue:05:00": "lasts 25 h: want less than 24 h",
	} {
		_, err := parseWeekly(window)
		assert.EqualError(t, err, reason, "weekly %q", window)
	}
}

func TestWindowsOverlapAlsoOverMidnightAndTheWeeksEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		daily, weekly string
		overlap       bool
	}{
		{"03:00-04:00", "Mon:04:00-Mon:05:00", false},
		{"03:00-04:01", "Mon:04:00-Mon:05:00", true},
		{"05:00-06:00", "Mon:04:00-Mon:05:00", false},
		{"04:10-04:50", "Wed:04:00-Wed:05:00", true},
		{"23:30-00:30", "Tue:00:00-Tue:01:00", true},
		{"23:30-00:30", "Tue:00:30-Tue:01:30", false},
		{"00:00-01:00", "Sun:23:30-Mon:00:30", true},
		{"23:00-23:30", "Sun:23:30-Mon:00:30", false},
		{"23:30-00:30", "sun:23:00-mon:00:00", true},
		{"12:00-13:00", "Sun:23:00-Mon:12:30", true},
	} {
		daily, err := parseDaily(c.daily)
		require.NoError(t, err)
		weekly, err := parseWeekly(c.weekly)
		require.NoError(t, err)
		assert.Equal(t, c.overlap, overlap(daily, weekly), "%s and %s", c.daily, c.weekly)
	}
}

// The result must be the same as that of counting minutes one by one.
func FuzzOverlap(f *testing.F) {
	f.Add(180, 60, 240, 60)
	f.Add(1410, 60, 10050, 120)
	f.Fuzz(func(t *testing.T, dailyStart, dailyLength, weeklyStart, weeklyLength int) {
		bound := func(n, low, high int) int { return low + ((n%(high-low))+(high-low))%(high-low) }
		daily := span{bound(dailyStart, 0, minutesPerDay), bound(dailyLength, shortestWindow, minutesPerDay)}
		weekly := span{bound(weeklyStart, 0, minutesPerWeek), bound(weeklyLength, shortestWindow, minutesPerDay)}
		busy := make([]bool, minutesPerWeek)
		for day := range days {
			for minute := range daily.length {
				busy[(day*minutesPerDay+daily.start+minute)%minutesPerWeek] = true
			}
		}
		want := false
		for minute := range weekly.length {
			want = want || busy[(weekly.start+minute)%minutesPerWeek]
		}
		if got := overlap(daily, weekly); got != want {
			t.Errorf("overlap(%v, %v) = %t, counting says %t", daily, weekly, got, want)
		}
	})
}

func FuzzWindowsNeverPanic(f *testing.F) {
	f.Add("03:00-04:00")
	f.Add("Mon:04:00-Mon:05:00")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := parseDaily(text); err == nil && (s.length < shortestWindow || s.length >= minutesPerDay) {
			t.Errorf("%q lasts %d min", text, s.length)
		}
		if s, err := parseWeekly(text); err == nil && (s.length < shortestWindow || s.length >= minutesPerDay) {
			t.Errorf("%q lasts %d min", text, s.length)
		}
	})
}

func Example_overlap() {
	daily, _ := parseDaily("23:30-00:30")
	weekly, _ := parseWeekly("Sun:23:45-Mon:00:45")
	fmt.Println(overlap(daily, weekly))
	// Output: true
}
