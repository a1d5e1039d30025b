package rds

import (
	"dbtier/policy/rule"
	"dbtier/validation/rdsrules"
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
	daily, dailyErr := rdsrules.ParseBackupWindow(backup)
	weekly, weeklyErr := rdsrules.ParseMaintenanceWindow(maintenance)
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
	case daily.Overlaps(weekly):
		backupValue.Fail("overlaps the maintenance window %s", maintenance)
	}
}
