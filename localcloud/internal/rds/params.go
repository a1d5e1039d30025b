package rds

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"dbtier/localcloud/internal/safefile"
)

const (
	paramForceSSL = "rds.force_ssl"

	// As on RDS: three connections for rdsadmin, and two for members of rds_superuser
	// (rds.rds_superuser_reserved_connections).
	superuserReserved    = 3
	rdsSuperuserReserved = 2

	minMaxConnections = superuserReserved + rdsSuperuserReserved + 1
	maxMaxConnections = 262143
)

// parameterName is stricter than what RDS accepts, because names become lines of postgresql.conf.
var parameterName = regexp.MustCompile(`^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$`)

// fixedParameters are the settings that depend on this machine: paths, access and durability. RDS does not allow
// changing them either.
var fixedParameters = []string{
	"allow_in_place_tablespaces", "archive_cleanup_command", "archive_command", "archive_library", "archive_mode",
	"bonjour", "bonjour_name",
	"cluster_name", "config_file", "data_directory", "data_sync_retry", "db_user_namespace", "dynamic_library_path",
	"dynamic_shared_memory_type",
	"event_source", "external_pid_file", "fsync", "full_page_writes", "hba_file", "hot_standby", "huge_pages",
	"ident_file",
	"krb_server_keyfile",
	"listen_addresses", "log_directory", "log_filename", "logging_collector", "port", "primary_conninfo",
	"primary_slot_name",
	"promote_trigger_file",
	"recovery_end_command", "reserved_connections", "restart_after_crash", "restore_command",
	"session_preload_libraries", "shared_memory_type",
	"ssl", "superuser_reserved_connections", "synchronous_standby_names", "unix_socket_directories",
	"unix_socket_group", "unix_socket_permissions",
	"zero_damaged_pages",
}

// rdsParameters are the parameters that exist only on RDS, with the check of their values. SHOW displays them, as on
// RDS.
var rdsParameters = map[string]func(value string) error{
	paramForceSSL:                            oneOf("0", "1"),
	"rds.logical_replication":                oneOf("0", "1"),
	"rds.log_retention_period":               wholeNumber(1440, 10080),
	"rds.rds_superuser_reserved_connections": wholeNumber(1, maxMaxConnections),
}

func oneOf(values ...string) func(string) error {
	return func(value string) error {
		if !slices.Contains(values, value) {
			return fmt.Errorf("want one of %s", strings.Join(values, ", "))
		}
		return nil
	}
}

func wholeNumber(least, most int) func(string) error {
	return func(value string) error {
		if n, err := strconv.Atoi(value); err != nil || n < least || n > most {
			return fmt.Errorf("want a whole number from %d to %d", least, most)
		}
		return nil
	}
}

// checkParameters returns all faults of a parameter group's parameters that can be found without a server. PostgreSQL
// checks the values of its own parameters (see [Engine.Apply]).
func checkParameters(params map[string]string) error {
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(params)) {
		value := params[name]
		fault := func(why string) { faults = append(faults, fmt.Errorf("parameter %s: %q: %s", name, value, why)) }
		check, known := rdsParameters[name]
		switch {
		case !parameterName.MatchString(name):
			fault("want the name of a parameter: lower-case letters, digits and _, with at most one dot")
		case slices.Contains(fixedParameters, name), strings.HasPrefix(name, "ssl_"):
			fault("RDS does not allow changing it")
		case strings.ContainsAny(value, "\x00\n\r"):
			fault("must be a single line")
		case known:
			if err := check(value); err != nil {
				fault(err.Error())
			}
		case strings.HasPrefix(name, "rds."):
			fault("not modelled by the local cloud; the modelled parameters are " +
				strings.Join(slices.Sorted(maps.Keys(rdsParameters)), ", "))
		}
	}
	return errors.Join(faults...)
}

// settings returns the content of an instance's postgresql.conf: the settings of this machine and of RDS, overlaid by
// those of the parameter group.
func settings(socketDir string, maxConnections int, params map[string]string) map[string]string {
	s := map[string]string{ //nolint:gosec // settings with "password" in their names, no passwords
		// Settings of this machine: no network, no waiting for disks, and nothing outside the data folder that a kill
		// could leave behind.
		"listen_addresses":           "",
		"unix_socket_directories":    socketDir,
		"unix_socket_permissions":    "0700",
		"fsync":                      "off",
		"full_page_writes":           "off",
		"dynamic_shared_memory_type": "mmap",
		"huge_pages":                 "off",
		"shared_buffers":             "64MB",
		"max_wal_size":               "256MB",
		"logging_collector":          "off",
		"log_line_prefix":            "%m:%u@%d:[%p]:",
		// Settings of RDS.
		"max_connections":                        strconv.Itoa(maxConnections),
		"superuser_reserved_connections":         strconv.Itoa(superuserReserved),
		"reserved_connections":                   strconv.Itoa(rdsSuperuserReserved),
		"password_encryption":                    "scram-sha-256",
		"shared_preload_libraries":               "pg_stat_statements",
		"timezone":                               "UTC",
		"log_timezone":                           "UTC",
		paramForceSSL:                            "1",
		"rds.rds_superuser_reserved_connections": strconv.Itoa(rdsSuperuserReserved),
	}
	maps.Copy(s, params)
	s["reserved_connections"] = s["rds.rds_superuser_reserved_connections"]
	if s["rds.logical_replication"] == "1" {
		s["wal_level"] = "logical"
	}
	return s
}

// checkReserve checks that there are connections besides the reserved ones. Otherwise PostgreSQL does not start.
func checkReserve(s map[string]string) error {
	most, err := strconv.Atoi(s["max_connections"])
	if err != nil {
		return fmt.Errorf("parameter max_connections: %q: want a whole number; compute formulas first",
			s["max_connections"])
	}
	reserved, err := strconv.Atoi(s["reserved_connections"])
	if err == nil && superuserReserved+reserved >= most {
		return fmt.Errorf("parameter max_connections: \"%d\": must be more than the %d reserved connections", most,
			superuserReserved+reserved)
	}
	return nil
}

// renderSettings returns settings as the text of a postgresql.conf, sorted by name.
func renderSettings(s map[string]string) []byte {
	quote := strings.NewReplacer(`\`, `\\`, `'`, `''`)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s)) {
		fmt.Fprintf(&b, "%s = '%s'\n", name, quote.Replace(s[name]))
	}
	return []byte(b.String())
}

// renderHBA returns the text of pg_hba.conf. All lines are for the socket, which only PostgreSQL's user and root can
// reach. "peer" lets the front in as the named user. The front does so only for clients that have shown a token. As on
// RDS, there is no line for replication connections, except for the standby. It has a password, because the account
// that PostgreSQL runs as has no name.
func renderHBA(iamUsers []string, standby bool) []byte {
	var b strings.Builder
	line := func(user, method string) { fmt.Fprintf(&b, "local all %s %s\n", user, method) }
	for _, user := range append([]string{adminUser}, iamUsers...) {
		line(`"`+strings.ReplaceAll(user, `"`, `""`)+`"`, "peer map=front")
	}
	line("all", "scram-sha-256")
	if standby {
		b.WriteString("local replication " + replicationUser + " scram-sha-256\n")
	}
	return []byte(b.String())
}

// renderIdent returns the text of pg_ident.conf. It maps the operating system's user of this process to all database
// users, for the lines of pg_hba.conf that name the map.
func renderIdent(osUser string) []byte {
	return []byte("front \"" + osUser + "\" all\n")
}

// checkSettings lets PostgreSQL read the settings, without starting a server, and returns its complaints.
func (e *Engine) checkSettings(ctx context.Context, data string, s map[string]string) error {
	var faults []error
	for library := range strings.SplitSeq(s["shared_preload_libraries"], ",") {
		library = strings.TrimSpace(library)
		if library == "" {
			continue
		}
		_, err := os.Stat(filepath.Join(e.postgres.dir, "lib", "postgresql", library+".so"))
		if strings.Contains(library, "/") || err != nil {
			faults = append(faults, fmt.Errorf("parameter shared_preload_libraries: %q: there is no such library here",
				library))
		}
	}
	faults = append(faults, checkReserve(s))
	for {
		found, err := e.tryConfiguration(ctx, data, s)
		if err != nil {
			return err
		}
		again := false
		for _, reason := range found {
			faults = append(faults, fmt.Errorf("parameters: %s", reason))
			// PostgreSQL does not check any values while there is an unknown name. Remove the name and try again.
			if name, unknown := strings.CutPrefix(reason, "unrecognized configuration parameter "); unknown {
				name = strings.Trim(name, `"`)
				_, again = s[name]
				delete(s, name)
			}
		}
		if !again {
			return errors.Join(faults...)
		}
	}
}

// tryConfiguration returns PostgreSQL's complaints about the settings.
func (e *Engine) tryConfiguration(ctx context.Context, data string, s map[string]string) ([]string, error) {
	candidate := filepath.Join(data, "postgresql.conf.candidate")
	if err := safefile.Replace(candidate, renderSettings(s), 0o644); err != nil {
		return nil, err
	}
	defer os.Remove(candidate)
	_, err := e.postgres.run(ctx, "postgres", "-D", data, "-c", "config_file="+candidate, "-C", "max_connections")
	if err == nil {
		return nil, nil
	}
	found := complaints(err.Error())
	if len(found) == 0 {
		return nil, fmt.Errorf("checking parameters: %w", err)
	}
	return found, nil
}

// complaints returns the reasons in PostgreSQL's output about a configuration file.
func complaints(text string) []string {
	var found []string
	for line := range strings.Lines(text) {
		_, reason, ok := strings.Cut(line, "LOG:  ")
		if !ok {
			continue
		}
		reason, _, _ = strings.Cut(strings.TrimSpace(reason), " in file ")
		found = append(found, reason)
	}
	return found
}
