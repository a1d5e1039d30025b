package rdspostgres

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

const (
	minutesPerDay  = 24 * 60
	minutesPerWeek = 7 * minutesPerDay
	// RDS refuses shorter windows ("Working with backups", "Maintaining a DB instance").
	shortestWindow = 30
)

var days = [...]string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}

// span is a range of minutes. It may cross the end of the day or week it starts in.
type span struct{ start, length int }

var (
	dailyForm  = regexp.MustCompile(`^(\d\d):(\d\d)-(\d\d):(\d\d)$`)
	weeklyForm = regexp.MustCompile(
		`^(?i:(mon|tue|wed|thu|fri|sat|sun)):(\d\d):(\d\d)-(?i:(mon|tue|wed|thu|fri|sat|sun)):(\d\d):(\d\d)$`,
	)
)

// parseDaily parses a backup window, hh:mm-hh:mm in UTC. It may cross midnight.
func parseDaily(window string) (span, error) {
	m := dailyForm.FindStringSubmatch(window)
	if m == nil {
		return span{}, errors.New("want hh:mm-hh:mm in UTC, for example 03:00-04:00")
	}
	start, err := minuteOfDay(m[1], m[2])
	if err != nil {
		return span{}, err
	}
	end, err := minuteOfDay(m[3], m[4])
	if err != nil {
		return span{}, err
	}
	return between(start, end, minutesPerDay)
}

// parseWeekly parses a maintenance window, ddd:hh:mm-ddd:hh:mm in UTC. It may cross the end of the week.
func parseWeekly(window string) (span, error) {
	m := weeklyForm.FindStringSubmatch(window)
	if m == nil {
		return span{}, errors.New("want ddd:hh:mm-ddd:hh:mm in UTC, for example Mon:04:00-Mon:05:00")
	}
	start, err := minuteOfDay(m[2], m[3])
	if err != nil {
		return span{}, err
	}
	end, err := minuteOfDay(m[5], m[6])
	if err != nil {
		return span{}, err
	}
	s, err := between(dayIndex(m[1])*minutesPerDay+start, dayIndex(m[4])*minutesPerDay+end, minutesPerWeek)
	if err == nil && s.length >= minutesPerDay {
		return span{}, fmt.Errorf("lasts %d h: want less than 24 h", s.length/60)
	}
	return s, err
}

func minuteOfDay(hours, minutes string) (int, error) {
	h, errH := strconv.Atoi(hours)
	m, errM := strconv.Atoi(minutes)
	if errH != nil || errM != nil || h > 23 || m > 59 {
		return 0, fmt.Errorf("%s:%s is not a time of day: want 00:00 to 23:59", hours, minutes)
	}
	return h*60 + m, nil
}

func dayIndex(name string) int {
	for i, day := range days {
		if strings.EqualFold(day, name) {
			return i
		}
	}
	return 0
}

func between(start, end, circle int) (span, error) {
	length := (end - start + circle) % circle
	if length < shortestWindow {
		return span{}, fmt.Errorf("lasts %d min: want at least %d", length, shortestWindow)
	}
	return span{start, length}, nil
}

// overlap reports whether a daily and a weekly window share a minute. Windows that only touch do not overlap: RDS
// accepts them.
func overlap(daily, weekly span) bool {
	for day := range days {
		start := day*minutesPerDay + daily.start
		// Two spans overlap if one of them starts inside the other.
		if inside(start, weekly) || inside(weekly.start, span{start, daily.length}) {
			return true
		}
	}
	return false
}

func inside(minute int, s span) bool {
	return (minute-s.start+minutesPerWeek)%minutesPerWeek < s.length
}
