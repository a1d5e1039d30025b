package rdsrules_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"dbtier/validation/rdsrules"
)

func TestWindowsThatShareAMinuteOverlap(t *testing.T) {
	t.Parallel()
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
		b, errB := rdsrules.ParseBackupWindow(c.backup)
		m, errM := rdsrules.ParseMaintenanceWindow(c.maintenance)
		if errB != nil || errM != nil || b.Overlaps(m) != c.want || m.Overlaps(b) != c.want {
			t.Errorf("%s and %s: %v, %v, %t", c.backup, c.maintenance, errB, errM, b.Overlaps(m))
		}
	}
}

// The result must be the same as that of counting minutes one by one.
func FuzzOverlap(f *testing.F) {
	f.Add(180, 60, 240, 60)
	f.Add(1410, 60, 10050, 120)
	f.Fuzz(func(t *testing.T, dailyStart, dailyLength, weeklyStart, weeklyLength int) {
		const day, week, shortest = 24 * 60, 7 * 24 * 60, 30
		bound := func(n, low, high int) int { return low + ((n%(high-low))+(high-low))%(high-low) }
		names := []string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}
		clock := func(minute int) string { return fmt.Sprintf("%02d:%02d", minute%day/60, minute%60) }
		weekday := func(minute int) string { return names[minute%week/day] + ":" + clock(minute) }
		from, length := bound(dailyStart, 0, day), bound(dailyLength, shortest, day)
		start, long := bound(weeklyStart, 0, week), bound(weeklyLength, shortest, day)
		daily, errDaily := rdsrules.ParseBackupWindow(clock(from) + "-" + clock(from+length))
		weekly, errWeekly := rdsrules.ParseMaintenanceWindow(weekday(start) + "-" + weekday(start+long))
		if errDaily != nil || errWeekly != nil {
			t.Fatal(errDaily, errWeekly)
		}
		busy := make([]bool, week)
		for number := range names {
			for minute := range length {
				busy[(number*day+from+minute)%week] = true
			}
		}
		want := false
		for minute := range long {
			want = want || busy[(start+minute)%week]
		}
		if daily.Overlaps(weekly) != want {
			t.Errorf("%v and %v: %t, counting says %t", daily, weekly, !want, want)
		}
	})
}

func TestWindowsThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "3:00-4:00", "03:00-03:29", "24:00-00:30", "03:00", "Mon:03:00-Mon:04:00", "03:00-03:00", "03:60-04:30",
	} {
		if w, err := rdsrules.ParseBackupWindow(s); err == nil {
			t.Errorf("%q is taken as %v", s, w)
		}
	}
	for _, s := range []string{
		"", "04:00-05:00", "Mon:04:00-Mon:04:29", "Mon:04:00-Tue:04:00", "Mo:04:00-Mo:05:00", "Mon:04:00-Mon:04:00",
	} {
		if w, err := rdsrules.ParseMaintenanceWindow(s); err == nil {
			t.Errorf("%q is taken as %v", s, w)
		}
	}
}

func TestDefaultWindowsNeverOverlapWhatIsGiven(t *testing.T) {
	t.Parallel()
	for hour := range 24 {
		given := fmt.Sprintf("%02d:00-%02d:45", hour, hour)
		for _, pair := range [][2]string{{given, ""}, {"", "sun:" + strings.Replace(given, "-", "-sun:", 1)}} {
			backup, maintenance, err := rdsrules.DefaultWindows(pair[0], pair[1])
			b, errB := rdsrules.ParseBackupWindow(backup)
			m, errM := rdsrules.ParseMaintenanceWindow(maintenance)
			if err != nil || errB != nil || errM != nil || b.Overlaps(m) {
				t.Errorf("%s: %s and %s: %v, %v, %v", given, backup, maintenance, err, errB, errM)
			}
		}
	}
}

func TestAWindowContainsItsMinutes(t *testing.T) {
	t.Parallel()
	w, err := rdsrules.ParseMaintenanceWindow("Sun:23:30-Mon:00:30")
	if err != nil {
		t.Fatal(err)
	}
	sunday := time.Date(2026, 11, 22, 23, 30, 0, 0, time.UTC)
	for offset, want := range map[time.Duration]bool{
		0: true, 59 * time.Minute: true, time.Hour: false, -time.Minute: false, 24 * time.Hour: false,
	} {
		if w.Contains(sunday.Add(offset)) != want {
			t.Errorf("%s: %t", offset, !want)
		}
	}
}

func TestVersionsThatRDSCreates(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"13", "14", "18", "14.18", "15.13", "16.9", "16.14", "17.5", "18.1", "18.8"} {
		if err := rdsrules.CheckVersion(version); err != nil {
			t.Errorf("%s: %s", version, err)
		}
	}
	for version, want := range map[string]string{
		"14.5": "RDS no longer creates it", "17.1": `(as of 2026-05-31, 17.5 is the oldest); use "17"`,
		"16.8": "16.9 is the oldest", "15.12": "15.13 is the oldest", "16.99": "RDS does not have it",
		"12": "want a major version from 13 to 18", "19": "want a major", "9.6": "want a major version such as",
		"": "want", "16.": "want", "x": "want", "16.1.1": "want", "016": "want",
	} {
		if err := rdsrules.CheckVersion(version); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", version, err, want)
		}
	}
	for version, want := range map[string]bool{"13": true, "13.20": true, "14": false, "18.1": false, "12": false} {
		if _, over := rdsrules.StandardSupportEnd(version); over != want {
			t.Errorf("standard support of %s: over is %t", version, over)
		}
	}
	for _, number := range rdsrules.Majors() {
		family := rdsrules.Family(fmt.Sprint(number, ".1"))
		if !rdsrules.KnownFamily(family) || len(rdsrules.ParameterNames(family)) < 250 {
			t.Errorf("%s has %d parameters", family, len(rdsrules.ParameterNames(family)))
		}
	}
	for _, family := range []string{"", "postgres", "postgres12", "postgres016", "mysql8.0", "aurora-postgresql16"} {
		if rdsrules.KnownFamily(family) {
			t.Errorf("%s is known", family)
		}
	}
}

func TestClasses(t *testing.T) {
	t.Parallel()
	for _, class := range []string{"db.m6g.large", "db.t4g.micro", "db.m99.large", "db.r8gd.48xlarge"} {
		if err := rdsrules.CheckClass(class); err != nil {
			t.Errorf("%s: %s", class, err)
		}
	}
	for class, want := range map[string]string{
		"m6g.large": "want a class such as", "db.m6g": "want a class", "db.m6g.large.tpc2": "want a class",
		"db.m6g.micro": "has no such size; it has large, xlarge", "db.t2.micro": "does not offer classes of db.t2",
		"db.x1e.xlarge": "does not offer", "": "want a class",
	} {
		if err := rdsrules.CheckClass(class); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", class, err, want)
		}
	}
	for class, want := range map[string]float64{"db.t4g.micro": 1, "db.r5.24xlarge": 768, "db.m5.large": 8, "db.m99.large": 0} {
		if gib, known := rdsrules.ClassMemory(class); gib != want || known != (want > 0) {
			t.Errorf("%s: %g, %t", class, gib, known)
		}
	}
	if larger := rdsrules.LargerClasses("db.m6g.8xlarge"); !slices.Equal(larger, []string{"db.m6g.12xlarge", "db.m6g.16xlarge"}) {
		t.Errorf("larger classes: %s", larger)
	}
}

func TestMaxConnectionsFollowTheClass(t *testing.T) {
	t.Parallel()
	for class, want := range map[string]int{
		"db.t4g.micro": 103, "db.t4g.medium": 414, "db.m6g.large": 829, "db.r6g.large": 1658, "db.r6g.16xlarge": 5000,
	} {
		if n, err := rdsrules.MaxConnections(class, ""); err != nil || n != want {
			t.Errorf("%s: %d, %v", class, n, err)
		}
	}
	for value, want := range map[string]int{
		"200": 200, "LEAST({DBInstanceClassMemory/9531392},300)": 300, "{DBInstanceClassMemory/95313920}": 41,
	} {
		if n, err := rdsrules.MaxConnections("db.t4g.medium", value); err != nil || n != want {
			t.Errorf("%s: %d, %v", value, n, err)
		}
	}
	if n, err := rdsrules.MaxConnections("db.z9.huge", "200"); err != nil || n != 200 {
		t.Errorf("a number needs no memory: %d, %v", n, err)
	}
	for _, value := range []string{"", "{DBInstanceClassMemory/2}"} {
		if _, err := rdsrules.MaxConnections("db.z9.huge", value); err == nil || !strings.Contains(err.Error(), "db.z9.huge") {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestFormulas(t *testing.T) {
	t.Parallel()
	const memory = 4 << 30
	for text, want := range map[string]int64{
		"5": 5, "{DBInstanceClassMemory/1024}": 4194304, "LEAST({DBInstanceClassMemory/9531392},5000)": 450,
		"GREATEST(1,2,3)": 3, "SUM(1, 2 , 3)": 6, "{log(DBInstanceClassMemory/1073741824)*100}": 200,
		"{DBInstanceClassMemory*3/4}": 3 << 30, "(2+3)*4-1": 19, "greatest({DBInstanceClassMemory/63963136},64)": 67,
	} {
		if got, err := rdsrules.EvaluateFormula(text, memory); err != nil || got != want {
			t.Errorf("%s: %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "{", "{1", "LEAST 1", "LEAST(1", "1/0", "x", "1 2", "log(0)", "log(1,2)", "{DBInstanceVCPU*2}",
		strings.Repeat("(", 600), "1e309", "NaN", "Inf", "{DBInstanceClassMemory/…}",
	} {
		if got, err := rdsrules.EvaluateFormula(text, memory); err == nil {
			t.Errorf("%q gives %d", text, got)
		}
	}
}

func FuzzEvaluateFormula(f *testing.F) {
	for _, s := range []string{"LEAST({DBInstanceClassMemory/9531392},5000)", "((1)+2)*3", "{{{1}}}", "-1", "log(1--1)"} {
		f.Add(s, int64(1<<32))
	}
	f.Fuzz(func(_ *testing.T, text string, memory int64) {
		_, _ = rdsrules.EvaluateFormula(text, memory)
	})
}

func TestParametersThatRDSAccepts(t *testing.T) {
	t.Parallel()
	for _, p := range [][4]string{
		{"postgres16", "rds.force_ssl", "1", ""},
		{"postgres14", "rds.force_ssl", "1", "pending-reboot"},
		{"postgres16", "log_statement", "ddl", "immediate"},
		{"postgres13", "log_min_duration_statement", "500", "pending-reboot"},
		{"postgres17", "max_connections", "200", "pending-reboot"},
		{"postgres18", "max_connections", "LEAST({DBInstanceClassMemory/9531392},500)", "pending-reboot"},
		{"postgres16", "autovacuum_vacuum_scale_factor", "0.05", ""},
		{"postgres16", "shared_preload_libraries", "pg_stat_statements,pg_cron", "pending-reboot"},
		{"postgres16", "WORK_MEM", "4096", ""},
		{"postgres18", "autovacuum_max_workers", "5", "immediate"},
		{"postgres14", "idle_session_timeout", "60000", ""},
		{"postgres16", "max_worker_processes", "GREATEST({DBInstanceVCPU*2},8)", "pending-reboot"},
	} {
		if faults := rdsrules.CheckParameter(p[0], p[1], p[2], p[3]); len(faults) > 0 {
			t.Errorf("%q: %v", p, faults)
		}
	}
	for _, p := range []struct{ family, name, value, method, in, want string }{
		{"postgres16", "no_such_parameter", "1", "", "", "is not a parameter of the family postgres16"},
		{"postgres13", "idle_session_timeout", "1", "", "", "is not a parameter of the family postgres13"},
		{"postgres17", "old_snapshot_threshold", "1", "pending-reboot", "", "is not a parameter"},
		{"mysql8.0", "work_mem", "4096", "", "", "is not a parameter"},
		{"postgres16", "data_directory", "/x", "pending-reboot", "", "does not let users change"},
		{"postgres16", "max_connections", "200", "immediate", "applyMethod", "static parameter"},
		{"postgres16", "max_connections", "200", "", "applyMethod", "static parameter"},
		{"postgres17", "autovacuum_max_workers", "5", "immediate", "applyMethod", "static parameter"},
		{"postgres14", "rds.force_ssl", "1", "immediate", "applyMethod", "static parameter"},
		{"postgres16", "max_connections", "many", "pending-reboot", "value", "want a whole number, or a formula"},
		{"postgres16", "max_connections", "0", "pending-reboot", "value", "want 6 to 262143"},
		{"postgres16", "max_connections", "LEAST(", "pending-reboot", "value", "neither a number"},
		{"postgres16", "work_mem", "4MB", "", "value", "without a unit"},
		{"postgres16", "work_mem", "", "", "value", "want a whole number"},
		{"postgres16", "seq_page_cost", "0x1p-2", "", "value", "want a number"},
		{"postgres16", "rds.force_ssl", "on", "", "value", "want 0 or 1"},
		{"postgres16", "log_statement", "everything", "", "value", "want one of none, ddl, mod, all"},
		{"postgres16", "search_path", "a\nb", "", "value", "single line"},
		{"postgres16", "log_statement", "ddl", "later", "applyMethod", "want immediate or pending-reboot"},
	} {
		faults := rdsrules.CheckParameter(p.family, p.name, p.value, p.method)
		if len(faults) != 1 || faults[0].In != p.in || !strings.Contains(faults[0].Reason, p.want) {
			t.Errorf("%q: %v", p, faults)
		}
	}
}

// Whatever the family and the value: a method that a parameter gets by default is one that RDS accepts and reports.
func TestTheDefaultMethodIsAcceptedAndReported(t *testing.T) {
	t.Parallel()
	for _, number := range rdsrules.Majors() {
		family := rdsrules.Family(strconv.Itoa(number))
		for _, name := range rdsrules.ParameterNames(family) {
			values := []string{"0", "1"}
			if system, ok := rdsrules.SystemDefault(family, name); ok {
				values = append(values, system)
			}
			for _, value := range values {
				method := rdsrules.DefaultMethod(family, name, value)
				for _, fault := range rdsrules.CheckParameter(family, name, value, method) {
					if fault.In == rdsrules.InMethod {
						t.Errorf("%s %s: %s", family, name, fault.Reason)
					}
				}
				if reported := rdsrules.ReportedMethod(family, name, value, method); reported != method {
					t.Errorf("%s %s = %s: %s is reported as %s", family, name, value, method, reported)
				}
			}
		}
	}
	for family, want := range map[string]string{"postgres14": "pending-reboot", "postgres15": "pending-reboot"} {
		if got := rdsrules.ReportedMethod(family, "rds.force_ssl", "1", "immediate"); got != want {
			t.Errorf("%s: %s", family, got)
		}
	}
	if got := rdsrules.DefaultMethod("postgres16", "log_lock_waits", "1"); got != "immediate" {
		t.Errorf("log_lock_waits: %s", got)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	check := func(what string, check func(string) error, good, refused []string) {
		for _, name := range good {
			if err := check(name); err != nil {
				t.Errorf("%s %q: %s", what, name, err)
			}
		}
		for _, name := range refused {
			if check(name) == nil {
				t.Errorf("%s %q is taken", what, name)
			}
		}
	}
	check("identifier", func(name string) error { return rdsrules.CheckIdentifier(name, 63) },
		[]string{"myshop-dev", "a", "A1-b2"},
		[]string{"", "1a", "-a", "a-", "a--b", "a_b", "ä", strings.Repeat("a", 64)})
	check("master user", rdsrules.CheckMasterUsername,
		[]string{"myshop_admin", "postgres", "U1"},
		[]string{
			"", "admin", "Admin", "user", "rdsadmin", "rds_superuser", "pg_monitor", "1a", "a-b", "select", "public",
			strings.Repeat("a", 64), "_a",
		})
	check("database", rdsrules.CheckDatabaseName,
		[]string{"myshop", "orders", "postgres"},
		[]string{"", "rdsadmin", "template0", "my-shop", "table", "order", "Order", "user", "_a", "1a"})
}

func TestStorage(t *testing.T) {
	t.Parallel()
	for _, s := range []rdsrules.Storage{
		{Type: "gp3", GiB: 20},
		{Type: "gp3", GiB: 400, IOPS: 12000, Throughput: 500},
		{Type: "gp3", GiB: 400, IOPS: 16000, Throughput: 4000},
		{Type: "gp2", GiB: 20, MaxGiB: 22},
		{Type: "io1", GiB: 100, IOPS: 5000},
		{Type: "io2", GiB: 100, IOPS: 100000},
		{Type: "io1", GiB: 2000, IOPS: 1000},
	} {
		if faults, known := s.Check(); !known || len(faults) > 0 {
			t.Errorf("%v: %v", s, faults)
		}
	}
	for want, s := range map[string]rdsrules.Storage{
		"allocatedStorage: want 20 to 65536 GiB with storageType gp3":     {Type: "gp3", GiB: 19},
		"allocatedStorage: want 100 to 65536 GiB with storageType io1":    {Type: "io1", GiB: 50, IOPS: 1000},
		"maxAllocatedStorage: want 0 to turn growth off, or at least":     {Type: "gp3", GiB: 100, MaxGiB: 109},
		"iops: gp2 has no provisioned iops":                               {Type: "gp2", GiB: 100, IOPS: 1000},
		"iops: gp3 accepts it only from 400 GiB":                          {Type: "gp3", GiB: 399, IOPS: 12000},
		"iops: want 12000 to 64000 with storageType gp3":                  {Type: "gp3", GiB: 400, IOPS: 3000},
		"iops: want 1000 to 256000 with storageType io1":                  {Type: "io1", GiB: 100},
		"iops: RDS wants 0.5 to 50 for each GiB of allocatedStorage with": {Type: "io1", GiB: 100, IOPS: 5001},
		"iops: RDS wants 0.5 to 50":                                       {Type: "io1", GiB: 10000, IOPS: 4999},
		"iops: RDS wants 0.5 to 1000":                                     {Type: "io2", GiB: 100, IOPS: 100001},
		"storageThroughput: needs storageType gp3 and iops":               {Type: "gp3", GiB: 400, Throughput: 500},
		"storageThroughput: want 500 to 4000 MiB/s":                       {Type: "gp3", GiB: 400, IOPS: 12000, Throughput: 125},
		"storageThroughput: is more than a quarter of iops (12000)":       {Type: "gp3", GiB: 400, IOPS: 12000, Throughput: 3001},
	} {
		faults, _ := s.Check()
		if len(faults) != 1 || !strings.HasPrefix(faults[0].Setting+": "+faults[0].Reason, want) {
			t.Errorf("%v: %v, want %s", s, faults, want)
		}
	}
	if _, known := (rdsrules.Storage{Type: "standard", GiB: 100}).Check(); known {
		t.Error("magnetic storage is not offered")
	}
}
