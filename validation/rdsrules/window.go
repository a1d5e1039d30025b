package rdsrules

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	minutesADay  = 24 * 60
	minutesAWeek = 7 * minutesADay
	minWindow    = 30 // minutes
)

// Window is a span of minutes in UTC. Start counts from midnight for a backup window, and from Monday 00:00 for a
// maintenance window.
type Window struct {
	Start, Length int
	daily         bool
}

const (
	timeForm = `([01][0-9]|2[0-3]):([0-5][0-9])`
	dayForm  = `(mon|tue|wed|thu|fri|sat|sun):` + timeForm
)

var (
	backupForm      = regexp.MustCompile(`^` + timeForm + `-` + timeForm + `$`)
	maintenanceForm = regexp.MustCompile(`^` + dayForm + `-` + dayForm + `$`)
	days            = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}
)

// ParseBackupWindow reads a window of the form hh24:mi-hh24:mi. It may span midnight and must be at least 30 minutes
// long.
func ParseBackupWindow(s string) (Window, error) {
	m := backupForm.FindStringSubmatch(s)
	if m == nil {
		return Window{}, errors.New("want hh:mm-hh:mm in UTC, for example 03:00-04:00")
	}
	w := Window{Start: number(m[1])*60 + number(m[2]), daily: true}
	w.Length = wrap(number(m[3])*60+number(m[4])-w.Start, minutesADay)
	return w, w.check()
}

// ParseMaintenanceWindow reads a window of the form ddd:hh24:mi-ddd:hh24:mi, in upper or lower case. It may span the
// end of the week and must be at least 30 minutes and less than 24 hours long.
func ParseMaintenanceWindow(s string) (Window, error) {
	m := maintenanceForm.FindStringSubmatch(strings.ToLower(s))
	if m == nil {
		return Window{}, errors.New("want ddd:hh:mm-ddd:hh:mm in UTC, for example Mon:04:00-Mon:05:00")
	}
	at := func(day, hour, minute string) int {
		for i, d := range days {
			if d == day {
				return i*minutesADay + number(hour)*60 + number(minute)
			}
		}
		return 0
	}
	w := Window{Start: at(m[1], m[2], m[3])}
	w.Length = wrap(at(m[4], m[5], m[6])-w.Start, minutesAWeek)
	return w, w.check()
}

func (w Window) check() error {
	switch {
	case w.Length < minWindow:
		return fmt.Errorf("lasts %d min: want at least %d", w.Length, minWindow)
	case w.Length >= minutesADay:
		return fmt.Errorf("lasts %d h: want less than 24 h", w.Length/60)
	}
	return nil
}

// Overlaps reports whether two windows share a minute. A daily window recurs on every day of the week.
func (w Window) Overlaps(o Window) bool {
	for _, a := range w.starts() {
		for _, b := range o.starts() {
			if wrap(b-a, minutesAWeek) < w.Length || wrap(a-b, minutesAWeek) < o.Length {
				return true
			}
		}
	}
	return false
}

func (w Window) starts() []int {
	if !w.daily {
		return []int{w.Start}
	}
	out := make([]int, 7)
	for d := range out {
		out[d] = w.Start + d*minutesADay
	}
	return out
}

// Contains reports whether t lies in the window.
func (w Window) Contains(t time.Time) bool {
	t = t.UTC()
	minute := int((t.Weekday()+6)%7)*minutesADay + t.Hour()*60 + t.Minute()
	for _, s := range w.starts() {
		if wrap(minute-s, minutesAWeek) < w.Length {
			return true
		}
	}
	return false
}

// DefaultWindows fills in the window that is empty. Default windows are half an hour long, lie in the nightly block
// from which RDS would choose, and do not overlap the other window.
func DefaultWindows(backup, maintenance string) (string, string, error) {
	if maintenance == "" {
		maintenance = "sun:17:00-sun:17:30"
		if backup != "" {
			b, err := ParseBackupWindow(backup)
			if err != nil {
				return "", "", err
			}
			for hour := 13; hour < 13+24; hour++ {
				maintenance = fmt.Sprintf("sun:%02d:00-sun:%02d:30", hour%24, hour%24)
				if m, err := ParseMaintenanceWindow(maintenance); err == nil && !b.Overlaps(m) {
					break
				}
			}
		}
	}
	if backup == "" {
		m, err := ParseMaintenanceWindow(maintenance)
		if err != nil {
			return "", "", err
		}
		for hour := 18; hour < 18+24; hour++ {
			backup = fmt.Sprintf("%02d:00-%02d:30", hour%24, hour%24)
			if b, err := ParseBackupWindow(backup); err == nil && !b.Overlaps(m) {
				break
			}
		}
	}
	return backup, maintenance, nil
}

func wrap(n, modulus int) int { return ((n % modulus) + modulus) % modulus }

func number(s string) int {
	n, _ := strconv.Atoi(s) // two digits, by the pattern
	return n
}
