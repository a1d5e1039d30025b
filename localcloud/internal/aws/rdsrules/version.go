package rdsrules

import (
	"fmt"
	"slices"
	"strings"
)

// PostgresVersion is the PostgreSQL version of every instance of the stand-in.
const PostgresVersion = "16.14"

// retired are the minor versions of major 16 with which RDS creates no more instances (release calendar; 16.5 to 16.8
// since 1 May 2026).
var retired = []string{"16.1", "16.2", "16.3", "16.4", "16.5", "16.6", "16.7", "16.8"}

// otherMajors are major versions that RDS offers and the stand-in does not.
var otherMajors = []string{"11", "12", "13", "14", "15", "17", "18"}

// ResolveVersion returns the version that is created for an engine_version. A major version means its newest minor
// version. If RDS does not offer the version either, the error has RDS's words and notModelled is false. If only the
// stand-in lacks it, notModelled is true.
func ResolveVersion(version string) (actual string, notModelled bool, err error) {
	major, _, _ := strings.Cut(version, ".")
	switch {
	case version == "" || version == "16" || version == PostgresVersion:
		return PostgresVersion, false, nil
	case slices.Contains(retired, version):
		return "", false, fmt.Errorf("cannot find version %s for postgres", version)
	case slices.Contains(otherMajors, major), major == "16" && laterThanRetired(version):
		return "", true, fmt.Errorf("PostgreSQL %s: set the engine version to \"16\", which is %s", version,
			PostgresVersion)
	default:
		return "", false, fmt.Errorf("cannot find version %s for postgres", version)
	}
}

func laterThanRetired(version string) bool {
	return slices.Contains([]string{"16.9", "16.10", "16.11", "16.12", "16.13"}, version)
}

// Family returns the parameter group family of a version.
func Family(version string) string {
	major, _, _ := strings.Cut(version, ".")
	return "postgres" + major
}

// KnownFamily reports whether RDS has the family.
func KnownFamily(family string) bool {
	return family == "postgres16" || slices.ContainsFunc(otherMajors,
		func(m string) bool { return family == "postgres"+m })
}
