package rdsrules

// Choices of an instance of PostgreSQL (CreateDBInstance, as of 2026-05).
var (
	// CACertificates are the authorities that can sign an instance's certificate.
	CACertificates = []string{"rds-ca-rsa2048-g1", "rds-ca-rsa4096-g1", "rds-ca-ecc384-g1"}
	// LogTypes are the logs that RDS can send to CloudWatch Logs.
	LogTypes = []string{"postgresql", "upgrade", "iam-db-auth-error"}
	// MonitoringIntervals of enhanced monitoring are in seconds; 0 is off.
	MonitoringIntervals = []int{0, 1, 5, 10, 15, 30, 60}
	// Features are what a database may assume roles for (AddRoleToDBInstance).
	Features = []string{"s3Import", "s3Export", "Lambda"}
)

// Values of engineLifecycleSupport.
const (
	ExtendedSupport         = "open-source-rds-extended-support"
	ExtendedSupportDisabled = "open-source-rds-extended-support-disabled"
)

// Ports of an instance.
const (
	LowestPort  = 1150
	HighestPort = 65535
)

// MostBackupDays is the longest retention of automated backups.
const MostBackupDays = 35

// AdvancedRetention is the retention of Performance Insights that the advanced mode of Database Insights needs, in days
// ("Turning on the Advanced mode of Database Insights").
const AdvancedRetention = 465

// IsInsightsRetention reports whether Performance Insights can keep its data for so many days: 7, 731 or a number of
// months of 31 days, up to 23.
func IsInsightsRetention(days int) bool {
	return days == 7 || days == 731 || (days > 0 && days <= 23*31 && days%31 == 0)
}
