package rds

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"dbtier/policy/rule"
)

// windows compares the backup window and the maintenance window of an instance or cluster.
func windows(s *rule.Subject) {
	var read rule.Reader
	window := func(keys ...string) (rule.Value, string) {
		value := s.Get(keys[0])
		if value.Missing() {
			value = s.Get(keys[1])
		}
		if value.Missing() {
			return s.Get(keys[0]), ""
		}
		return value, read.Text(value, "")
	}
	backupValue, backup := window("backupWindow", "preferredBackupWindow")
	maintenanceValue, maintenance := window("maintenanceWindow", "preferredMaintenanceWindow")
	only := s.Text("backupWindow")
	daily, dailyErr := parseDaily(backup)
	weekly, weeklyErr := parseWeekly(maintenance)
	const tooShort = "is %d minutes long: RDS needs at least 30"
	switch {
	case !read.OK():
	case only != "" && backup != only:
		backupValue.Fail("the policy config wants %s", only)
	case backup == "":
		backupValue.Fail("is missing: RDS chooses one")
	case maintenance == "":
		maintenanceValue.Fail("is missing: RDS chooses one")
	case dailyErr != nil:
		backupValue.Fail("%s", dailyErr)
	case weeklyErr != nil:
		maintenanceValue.Fail("%s", weeklyErr)
	case daily.length < 30:
		backupValue.Fail(tooShort, daily.length)
	case weekly.length < 30:
		maintenanceValue.Fail(tooShort, weekly.length)
	default:
		for day := range 7 {
			if (span{daily.start + day*minutesPerDay, daily.length}).overlaps(weekly) {
				backupValue.Fail("overlaps the maintenance window %s", maintenance)
				return
			}
		}
	}
}

const (
	minutesPerDay  = 24 * 60
	minutesPerWeek = 7 * minutesPerDay
)

// span is a time of the week, in minutes from Monday 00:00. It can end in the next week.
type span struct{ start, length int }

func (s span) overlaps(other span) bool {
	within := func(at int, in span) bool {
		return ((at-in.start)%minutesPerWeek+minutesPerWeek)%minutesPerWeek < in.length
	}
	return within(s.start, other) || within(other.start, s)
}

func parseDaily(text string) (span, error) {
	return parseSpan(text, clock, minutesPerDay, "want hh:mm-hh:mm")
}

func parseWeekly(text string) (span, error) {
	return parseSpan(strings.ToLower(text), dayClock, minutesPerWeek, "want ddd:hh:mm-ddd:hh:mm")
}

func parseSpan(text string, parse func(string) (int, error), period int, want string) (span, error) {
	from, to, ok := strings.Cut(text, "-")
	start, startErr := parse(from)
	end, endErr := parse(to)
	if !ok || startErr != nil || endErr != nil {
		return span{}, errors.New(want)
	}
	return span{start, (end - start + period) % period}, nil
}

func dayClock(text string) (int, error) {
	name, rest, _ := strings.Cut(text, ":")
	day := slices.Index([]string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}, name)
	minutes, err := clock(rest)
	if day < 0 {
		return 0, fmt.Errorf("%q is not a day", name)
	}
	return day*minutesPerDay + minutes, err
}

func clock(text string) (int, error) {
	hours, minutes, ok := strings.Cut(text, ":")
	h, hoursErr := strconv.Atoi(hours)
	m, minutesErr := strconv.Atoi(minutes)
	if !ok || hoursErr != nil || minutesErr != nil || h < 0 || h > 23 || m < 0 || m > 59 {
		return 0, fmt.Errorf("%q is not a time", text)
	}
	return h*60 + m, nil
}
