package rdsrules_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/localcloud/internal/aws/rdsrules"
)

func TestWindowsThatShareAMinuteOverlap(t *testing.T) {
	for _, c := range []struct {
		backup, maintenance string
		want                bool
	}{
		{"03:00-04:00", "Mon:04:00-Mon:05:00", false},
		{"03:00-04:01", "Mon:04:00-Mon:05:00", true},
		{"03:00-04:30", "mon:04:00-mon:05:00", true},
		{"04:15-04:45", "Mon:04:00-Mon:05:00", true},
		{"05:00-05:30", "Mon:04:00-Mon:05:00", false},
		{"23:30-00:30", "Tue:00:00-Tue:00:30", true},
		{"23:30-00:30", "Sun:23:00-Sun:23:30", false},
		{"00:00-00:30", "Sun:23:45-Mon:00:15", true},
		{"23:45-00:15", "Sun:23:30-Mon:00:30", true},
		{"12:00-12:30", "Sun:13:00-Mon:12:00", false},
		{"12:00-12:30", "Sun:13:00-Mon:12:15", true},
	} {
		b, err := rdsrules.ParseBackupWindow(c.backup)
		require.NoError(t, err, c.backup)
		m, err := rdsrules.ParseMaintenanceWindow(c.maintenance)
		require.NoError(t, err, c.maintenance)
		assert.Equal(t, c.want, b.Overlaps(m), "%s and %s", c.backup, c.maintenance)
		assert.Equal(t, c.want, m.Overlaps(b), "%s and %s", c.maintenance, c.backup)
	}
}

func TestWindowsThatAreRefused(t *testing.T) {
	for _, s := range []string{
		"", "3:00-4:00", "03:00-03:29", "24:00-00:30", "03:00", "Mon:03:00-Mon:04:00",
		"03:00-03:00",
	} {
		_, err := rdsrules.ParseBackupWindow(s)
		require.Error(t, err, s)
	}
	for _, s := range []string{
		"", "04:00-05:00", "Mon:04:00-Mon:04:29", "Mon:04:00-Tue:04:01", "Mo:04:00-Mo:05:00",
		"Mon:04:00-Mon:04:00",
	} {
		_, err := rdsrules.ParseMaintenanceWindow(s)
		require.Error(t, err, s)
	}
}

func TestDefaultWindowsNeverOverlapWhatIsGiven(t *testing.T) {
	for hour := range 24 {
		given := time.Date(2026, 1, 1, hour, 0, 0, 0, time.UTC).Format("15:04") + "-" +
			time.Date(2026, 1, 1, hour, 45, 0, 0, time.UTC).Format("15:04")
		for _, pair := range [][2]string{{given, ""}, {"", "sun:" + strings.Replace(given, "-", "-sun:", 1)}} {
			backup, maintenance, err := rdsrules.DefaultWindows(pair[0], pair[1])
			require.NoError(t, err)
			b, err := rdsrules.ParseBackupWindow(backup)
			require.NoError(t, err)
			m, err := rdsrules.ParseMaintenanceWindow(maintenance)
			require.NoError(t, err)
			assert.False(t, b.Overlaps(m), "%s and %s", backup, maintenance)
		}
	}
}

func TestAWindowContainsItsMinutes(t *testing.T) {
	w, err := rdsrules.ParseMaintenanceWindow("Sun:23:30-Mon:00:30")
	require.NoError(t, err)
	sunday := time.Date(2026, 11, 22, 23, 30, 0, 0, time.UTC)
	assert.True(t, w.Contains(sunday))
	assert.True(t, w.Contains(sunday.Add(59*time.Minute)))
	assert.False(t, w.Contains(sunday.Add(time.Hour)))
	assert.False(t, w.Contains(sunday.Add(-time.Minute)))
	assert.False(t, w.Contains(sunday.AddDate(0, 0, 1)))
}

func TestVersions(t *testing.T) {
	for version, want := range map[string]string{"16": "16.14", "": "16.14", "16.14": "16.14"} {
		actual, _, err := rdsrules.ResolveVersion(version)
		require.NoError(t, err, version)
		assert.Equal(t, want, actual)
	}
	for version, notModelled := range map[string]bool{
		"16.3": false, "16.4": false, "16.5": false, "16.8": false, "16.99": false, "9.6": false, "x": false,
		"16.":  false,
		"16.9": true, "16.13": true, "15": true, "17.4": true,
	} {
		_, limit, err := rdsrules.ResolveVersion(version)
		require.Error(t, err, version)
		assert.Equal(t, notModelled, limit, version)
	}
}

func TestMaxConnectionsFollowTheClass(t *testing.T) {
	for class, want := range map[string]int{
		"db.t4g.micro": 103, "db.t4g.medium": 414, "db.m6g.large": 829,
		"db.r6g.large": 1658, "db.r6g.16xlarge": 5000,
	} {
		n, err := rdsrules.MaxConnections(class, "")
		require.NoError(t, err)
		assert.Equal(t, want, n, class)
	}
	n, err := rdsrules.MaxConnections("db.t4g.medium", "200")
	require.NoError(t, err)
	assert.Equal(t, 200, n)
	_, err = rdsrules.MaxConnections("db.z9.huge", "")
	assert.ErrorContains(t, err, "db.z9.huge")
}

func TestFormulas(t *testing.T) {
	const memory = 4 << 30
	for text, want := range map[string]int64{
		"5": 5, "{DBInstanceClassMemory/1024}": 4194304, "LEAST({DBInstanceClassMemory/9531392},5000)": 450,
		"GREATEST(1,2,3)": 3, "SUM(1, 2 , 3)": 6,
		"{DBInstanceClassMemory*3/4}": 3 << 30, "(2+3)*4-1": 19, "greatest({DBInstanceClassMemory/63963136},64)": 67,
	} {
		got, err := rdsrules.EvaluateFormula(text, memory)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{
		"", "{", "{1", "LEAST 1", "LEAST(1", "1/0", "x", "1 2", "LOG(8)",
		strings.Repeat("(", 600), "1e309", "NaN", "Inf",
	} {
		_, err := rdsrules.EvaluateFormula(text, memory)
		require.Error(t, err, text)
	}
}

func FuzzEvaluateFormula(f *testing.F) {
	for _, s := range []string{"LEAST({DBInstanceClassMemory/9531392},5000)", "((1)+2)*3", "{{{1}}}", "-1", "1--1"} {
		f.Add(s, int64(1<<32))
	}
	f.Fuzz(func(_ *testing.T, text string, memory int64) {
		_, _ = rdsrules.EvaluateFormula(text, memory)
	})
}

func TestParameters(t *testing.T) {
	for _, p := range [][3]string{
		{"rds.force_ssl", "1", ""},
		{"log_statement", "ddl", "immediate"},
		{"log_min_duration_statement", "500", "immediate"},
		{"max_connections", "200", "pending-reboot"},
		{"max_connections", "LEAST({DBInstanceClassMemory/9531392},500)", "pending-reboot"},
		{"shared_preload_libraries", "pg_stat_statements", "pending-reboot"},
		{"WORK_MEM", "4096", ""},
	} {
		require.NoError(t, rdsrules.CheckParameter(p[0], p[1], p[2]), p)
	}
	for _, p := range [][4]string{
		{"no_such_parameter", "1", "", "could not find parameter"},
		{"data_directory", "/x", "pending-reboot", "cannot be modified"},
		{"max_connections", "200", "immediate", "static parameter"},
		{"max_connections", "many", "pending-reboot", "whole number"},
		{"max_connections", "0", "pending-reboot", "1-262143"},
		{"max_connections", "LEAST(", "pending-reboot", "invalid parameter value"},
		{"work_mem", "4MB", "", "without a unit"},
		{"rds.force_ssl", "maybe", "", "want 0 or 1"},
		{"log_statement", "ddl", "later", `"later"`},
	} {
		require.ErrorContains(t, rdsrules.CheckParameter(p[0], p[1], p[2]), p[3], p)
	}
}

func TestParametersForTheEngineAreComputedAndLeaveOutMemorySizes(t *testing.T) {
	out, err := rdsrules.ForEngine("db.t4g.medium", map[string]string{
		"max_connections": "10", "shared_buffers": "{DBInstanceClassMemory/32768}", "log_statement": "ddl",
		"work_mem": "{DBInstanceClassMemory/1048576}",
	})
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"rds.force_ssl": "1", "log_statement": "ddl", "work_mem": "3768"}, out)
}

func TestNames(t *testing.T) {
	for _, s := range []string{"myshop-dev", "a", "A1-b2"} {
		require.NoError(t, rdsrules.CheckIdentifier(s, 63), s)
	}
	for _, s := range []string{"", "1a", "-a", "a-", "a--b", "a_b", "ä", strings.Repeat("a", 64)} {
		require.Error(t, rdsrules.CheckIdentifier(s, 63), s)
	}
	for _, s := range []string{"myshop_admin", "postgres", "U1"} {
		require.NoError(t, rdsrules.CheckMasterUsername(s), s)
	}
	for _, s := range []string{
		"", "admin", "Admin", "user", "rdsadmin", "rds_superuser", "pg_monitor", "1a", "a-b",
		"select", strings.Repeat("a", 64),
	} {
		require.Error(t, rdsrules.CheckMasterUsername(s), s)
	}
	for _, s := range []string{"", "rdsadmin", "template0", "my-shop", "table"} {
		require.Error(t, rdsrules.CheckDatabaseName(s), s)
	}
	assert.NoError(t, rdsrules.CheckDatabaseName("myshop"))
}

func TestFamilies(t *testing.T) {
	assert.Equal(t, "postgres16", rdsrules.Family("16.14"))
	assert.True(t, rdsrules.KnownFamily("postgres16"))
	assert.True(t, rdsrules.KnownFamily("postgres15"))
	assert.False(t, rdsrules.KnownFamily("mysql8.0"))
}
