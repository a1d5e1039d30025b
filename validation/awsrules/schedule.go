package awsrules

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

var (
	rateForm = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^rate\(([1-9]\d{0,3}) (day|hour)s?\)$`)
	})
	cronForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^cron\(([^()]*)\)$`) })
)

// shortestRotation is the shortest time between two rotations, in hours.
const shortestRotation = 4

// CheckRotationSchedule reads a schedule of a secret's rotation, rate(<n> days), rate(<n> hours) or cron(<6 fields>) in
// UTC, and returns the longest window in which a rotation may begin, in hours: it ends with the UTC day or before the
// next rotation. Source: "Schedule expressions in Secrets Manager rotation", AWS Secrets Manager User Guide.
func CheckRotationSchedule(text string) (longest int, err error) {
	if rate := rateForm().FindStringSubmatch(text); rate != nil {
		n, _ := strconv.Atoi(rate[1]) // at most four digits, by the form
		switch {
		case rate[2] == "day" && n <= 999:
			return 24, nil
		case rate[2] == "hour" && shortestRotation <= n && n <= 999:
			return min(n, 24), nil
		}
		return 0, fmt.Errorf("want 1 to 999 days, or %d to 999 hours", shortestRotation)
	}
	cron := cronForm().FindStringSubmatch(text)
	if cron == nil {
		return 0, errors.New("want rate(<n> days), rate(<n> hours) or cron(0 <hour> <day> <month> <weekday> *)")
	}
	fields := strings.Fields(cron[1])
	if len(fields) != 6 {
		return 0, fmt.Errorf("has %d fields; want six: 0, hour, day, month, weekday and *, for example cron(0 3 ? * "+
			"SUN *)",
			len(fields))
	}
	return checkCron(fields[0], fields[1], fields[2], fields[3], fields[4], fields[5])
}

func checkCron(minute, hour, day, month, weekday, year string) (longest int, err error) {
	switch {
	case minute != "0":
		return 0, fmt.Errorf("has the minute %q; Secrets Manager accepts 0 only", minute)
	case year != "*":
		return 0, fmt.Errorf("has the year %q; Secrets Manager accepts * only", year)
	case (day == "?") == (weekday == "?"):
		return 0, errors.New("wants ? for either the day or the weekday, and the other one given")
	}
	hours, err := hourField.values(hour)
	if err != nil {
		return 0, err
	}
	months, err := monthField.values(month)
	if err != nil {
		return 0, err
	}
	if err := checkDay(day, months); err != nil {
		return 0, err
	}
	if err := checkWeekday(weekday); err != nil {
		return 0, err
	}
	longest = 24
	for i, h := range hours {
		next := 24 + hours[0]
		if i+1 < len(hours) {
			next = hours[i+1]
		}
		if next-h < shortestRotation {
			return 0, fmt.Errorf("has the hour %q, which rotates after less than %d hours", hour, shortestRotation)
		}
		longest = min(longest, next-h, 24-h)
	}
	return longest, nil
}

// cronField is a field of a cron expression: its name, bounds and the names of its values, from the lowest.
type cronField struct {
	name      string
	low, high int
	names     []string
}

var monthNames = strings.Fields("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC")

var (
	hourField    = cronField{name: "hour", low: 0, high: 23}
	dayField     = cronField{name: "day", low: 1, high: 31}
	monthField   = cronField{name: "month", low: 1, high: 12, names: monthNames}
	weekdayField = cronField{name: "weekday", low: 1, high: 7, names: strings.Fields("SUN MON TUE WED THU FRI SAT")}
)

// values returns the values of a field, sorted: numbers and names, ranges, lists, steps and *.
func (f *cronField) values(text string) ([]int, error) {
	fault := fmt.Errorf("has the %s %q: want %d to %d%s, a range, a list or *", f.name, text, f.low, f.high,
		f.nameRule())
	set := map[int]bool{}
	for item := range strings.SplitSeq(text, ",") {
		span, step, stepped := strings.Cut(item, "/")
		every := 1
		if stepped {
			n, err := strconv.Atoi(step)
			if err != nil || n < 1 || n > f.high || step[0] == '+' {
				return nil, fault
			}
			every = n
		}
		first, last := f.low, f.high
		if span != "*" {
			from, to, ranged := strings.Cut(span, "-")
			var ok bool
			if first, ok = f.value(from); !ok {
				return nil, fault
			}
			switch {
			case ranged:
				if last, ok = f.value(to); !ok || last < first {
					return nil, fault
				}
			case !stepped:
				last = first
			}
		}
		for n := first; n <= last; n += every {
			set[n] = true
		}
	}
	var sorted []int
	for n := f.low; n <= f.high; n++ {
		if set[n] {
			sorted = append(sorted, n)
		}
	}
	return sorted, nil
}

func (f *cronField) nameRule() string {
	if f.names == nil {
		return ""
	}
	return fmt.Sprintf(" or %s to %s", f.names[0], f.names[len(f.names)-1])
}

func (f *cronField) value(text string) (int, bool) {
	if i := slices.Index(f.names, text); i >= 0 {
		return f.low + i, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && f.low <= n && n <= f.high && text[0] != '+'
}

// checkDay checks the day of the month: values, L for the last day, and <day>W for the weekday nearest to a day.
func checkDay(text string, months []int) error {
	if text == "?" || text == "L" {
		return nil
	}
	if nearest, ok := strings.CutSuffix(text, "W"); ok {
		if _, valid := dayField.value(nearest); valid || nearest == "L" {
			return nil
		}
	}
	days, err := dayField.values(text)
	if err != nil {
		return err
	}
	// The first day that a month may lack.
	lengths := []int{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}
	for _, month := range months {
		if days[0] <= lengths[month-1] {
			return nil
		}
	}
	return fmt.Errorf("has the day %q, which none of its months has", text)
}

// checkWeekday checks the day of the week: values, <weekday>L for the last one of a month, and <weekday>#<n> for the
// nth.
func checkWeekday(text string) error {
	if text == "?" || text == "L" {
		return nil
	}
	if last, ok := strings.CutSuffix(text, "L"); ok {
		if _, valid := weekdayField.value(last); valid {
			return nil
		}
	}
	if day, n, ok := strings.Cut(text, "#"); ok {
		if _, valid := weekdayField.value(day); valid && len(n) == 1 && "1" <= n && n <= "5" {
			return nil
		}
	}
	_, err := weekdayField.values(text)
	return err
}
