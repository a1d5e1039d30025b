package aws

import (
	"fmt"
	"strconv"

	"dbtier/validation/rdsrules"
)

// engineVersion is the PostgreSQL version of every instance of the stand-in, engineMajor and engineFamily its major
// version and parameter group family.
const (
	engineVersion = "16.14"
	engineMajor   = 16
	engineFamily  = "postgres16"
)

// resolveVersion returns the version that is created for an engine version. A major version means its newest minor
// version. If RDS does not offer the version either, the error has RDS's words and notModelled is false. If only the
// stand-in lacks it, notModelled is true.
func resolveVersion(version, lifecycle string) (actual string, notModelled bool, err error) {
	major, minor, _ := rdsrules.ParseVersion(version)
	if version == "" || version == engineVersion || major == engineMajor && minor < 0 {
		return engineVersion, false, nil
	}
	if err := rdsrules.CheckVersion(version); err != nil {
		return "", false, fmt.Errorf("cannot find version %s for postgres: %w", clip(version), err)
	}
	if _, over := rdsrules.StandardSupportEnd(version); over && lifecycle != rdsrules.ExtendedSupport {
		return "", false, fmt.Errorf("cannot create a DB instance of version %s without %s", clip(version),
			rdsrules.ExtendedSupport)
	}
	return "", true, fmt.Errorf("PostgreSQL %s: set the engine version to %q, which is %s", version,
		strconv.Itoa(engineMajor), engineVersion)
}
