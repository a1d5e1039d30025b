package rdsrules

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// major is what RDS offers of a major version.
type major struct {
	number int
	// oldest is the lowest minor version with which RDS still creates instances, newest the highest one that this
	// package knows.
	oldest, newest int
	// standardEnd is the last day of standard support. After it, RDS creates instances only with Extended Support.
	standardEnd string
}

// VersionsAsOf is the date of the data on versions.
const VersionsAsOf = "2026-05-31"

// majors are the major versions that have a parameter group family of the form postgres<major>, in ascending order.
// Sources: "Release calendars for Amazon RDS for PostgreSQL", and the notice of AWS that instances with 14.14 to 14.17,
// 15.9 to 15.12, 16.5 to 16.8 and 17.1 to 17.4 cannot be created from 2026-05-01. The releases of PostgreSQL 13 that
// belong to those withdrawn before are withdrawn, too.
var majors = []major{
	{13, 17, 23, "2026-02-28"},
	{14, 18, 23, "2027-02-28"},
	{15, 13, 18, "2028-02-29"},
	{16, 9, 14, "2029-02-28"},
	{17, 5, 10, "2030-02-28"},
	{18, 1, 4, "2031-02-28"},
}

// ahead is how many minor versions after the newest known one may exist. PostgreSQL plans one each quarter
// ("Versioning Policy"), and this package may be a year older than the instance.
const ahead = 4

var versionForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([1-9]\d)(?:\.(\d{1,2}))?$`) })

// Majors returns the major versions that RDS offers, in ascending order.
func Majors() []int {
	numbers := make([]int, len(majors))
	for i, m := range majors {
		numbers[i] = m.number
	}
	return numbers
}

func lookUpMajor(number int) (major, bool) {
	i := slices.IndexFunc(majors, func(m major) bool { return m.number == number })
	if i < 0 {
		return major{}, false
	}
	return majors[i], true
}

// ParseVersion reads an engine version, a major version (16) or one with its minor version (16.11). The minor version
// is -1 if there is none.
func ParseVersion(version string) (majorVersion, minorVersion int, ok bool) {
	parts := versionForm().FindStringSubmatch(version)
	if parts == nil {
		return 0, 0, false
	}
	majorVersion, _ = strconv.Atoi(parts[1])
	minorVersion = -1
	if parts[2] != "" {
		minorVersion, _ = strconv.Atoi(parts[2])
	}
	return majorVersion, minorVersion, true
}

// CheckVersion returns an error if RDS does not create instances with the engine version.
func CheckVersion(version string) error {
	number, minor, ok := ParseVersion(version)
	if !ok {
		return fmt.Errorf("want a major version such as %q, or major.minor", strconv.Itoa(majors[len(majors)-1].number))
	}
	m, known := lookUpMajor(number)
	switch {
	case !known:
		return fmt.Errorf("want a major version from %d to %d", majors[0].number, majors[len(majors)-1].number)
	case minor >= 0 && minor < m.oldest:
		return fmt.Errorf("RDS no longer creates it (as of %s, %d.%d is the oldest); use \"%d\" and let RDS pick "+
			"the newest",
			VersionsAsOf, number, m.oldest, number)
	case minor > m.newest+ahead:
		return fmt.Errorf("RDS does not have it (as of %s, %d.%d is the newest); use \"%d\" and let RDS pick the "+
			"newest",
			VersionsAsOf, number, m.newest, number)
	}
	return nil
}

// StandardSupportEnd returns the last day of a major version's standard support, and whether that was before
// [VersionsAsOf]. RDS then creates an instance only with Extended Support (CreateDBInstance, EngineLifecycleSupport).
func StandardSupportEnd(version string) (day string, over bool) {
	number, _, _ := ParseVersion(version)
	m, _ := lookUpMajor(number)
	return m.standardEnd, m.standardEnd != "" && m.standardEnd < VersionsAsOf
}

// Family returns the parameter group family of a version.
func Family(version string) string {
	number, _, _ := strings.Cut(version, ".")
	return "postgres" + number
}

// KnownFamily reports whether RDS has the family.
func KnownFamily(family string) bool { return familyMajor(family) != 0 }

// familyMajor returns the major version of a family, or 0 if RDS does not have the family.
func familyMajor(family string) int {
	text, ok := strings.CutPrefix(family, "postgres")
	number, err := strconv.Atoi(text)
	if _, known := lookUpMajor(number); !ok || err != nil || !known || strconv.Itoa(number) != text {
		return 0
	}
	return number
}
