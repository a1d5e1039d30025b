package rds

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParametersOfTheGroupStandOverTheDefaults(t *testing.T) {
	text := string(renderSettings(settings("/run/s", 414, map[string]string{
		"work_mem": "8192", "rds.force_ssl": "0", "log_line_prefix": `it's \ %m`, "rds.logical_replication": "1",
	})))
	for _, line := range []string{
		"max_connections = '414'", "work_mem = '8192'", "rds.force_ssl = '0'", `log_line_prefix = 'it''s \\ %m'`,
		"wal_level = 'logical'",
		"superuser_reserved_connections = '3'", "reserved_connections = '2'", "password_encryption = 'scram-sha-256'",
		"listen_addresses = ''", "unix_socket_directories = '/run/s'",
	} {
		assert.Contains(t, text, line+"\n")
	}
	assert.Contains(t, string(renderSettings(settings("/run/s", 414, nil))), "rds.force_ssl = '1'\n",
		"the default since PostgreSQL 15")
}

func TestParametersThatRDSWouldRefuseAreRefusedAllAtOnce(t *testing.T) {
	err := checkParameters(map[string]string{
		"work_mem": "4096", "pg_stat_statements.track": "all", // valid
		"hba_file": "/etc/passwd", "ssl_ca_file": "x", "Log_Statement": "all", "rds.force_ssl": "yes",
		"rds.extensions": "x",
		"search_path":    "a\nhba_file='x'", "rds.log_retention_period": "5",
	})
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	assert.Equal(t, []string{
		`parameter Log_Statement: "all": want the name of a parameter: lower-case letters, digits and _, with at most one dot`,
		`parameter hba_file: "/etc/passwd": RDS does not allow changing it`,
		`parameter rds.extensions: "x": not modelled by the local cloud; the modelled parameters are rds.force_ssl, rds.log_retention_period, ` +
			`rds.logical_replication, rds.rds_superuser_reserved_connections`,
		`parameter rds.force_ssl: "yes": want one of 0, 1`,
		`parameter rds.log_retention_period: "5": want a whole number from 1440 to 10080`,
		`parameter search_path: "a\nhba_file='x'": must be a single line`,
		`parameter ssl_ca_file: "x": RDS does not allow changing it`,
	}, lines)
}

func TestReservedConnectionsMustLeaveOthers(t *testing.T) {
	require.NoError(t, checkReserve(settings("", 6, nil)))
	require.EqualError(t, checkReserve(settings("", 5, nil)),
		`parameter max_connections: "5": must be more than the 5 reserved connections`)
	assert.ErrorContains(t, checkReserve(settings("", 100,
		map[string]string{"max_connections": "LEAST({DBInstanceClassMemory/9531392},5000)"})), "formula")
}

func TestAllFaultsOfASpecAreReportedTogether(t *testing.T) {
	good := Spec{
		Identifier: "myshop-local", EndpointHost: "myshop-local.c.rds.amazonaws.com", Port: 5432,
		MasterUsername: "myshop_admin", DBName: "myshop", MaxConnections: 414,
	}
	require.NoError(t, good.check())
	bad := Spec{
		Identifier: "My--Shop-", EndpointHost: "a b", Port: 80, MasterUsername: "rdsadmin", DBName: "1st",
		MaxConnections: 3,
		Parameters:     map[string]string{"port": "1"},
	}
	err := bad.check()
	require.Error(t, err)
	for _, field := range []string{
		"Identifier: ", "EndpointHost: ", `Port: "80"`, "MasterUsername: ", "DBName: ",
		"MaxConnections: ", "parameter port: ",
	} {
		assert.ErrorContains(t, err, field)
	}
}

func TestHostBasedAccessNamesIAMUsersOnly(t *testing.T) {
	assert.Equal(t, []string{
		`local all "rdsadmin" peer map=front`,
		`local all "app" peer map=front`,
		`local all "we""ird, one" peer map=front`,
		strings.Join([]string{"local", "all", "all", "scram-sha-256"}, " "),
		"",
	}, strings.Split(string(renderHBA([]string{"app", `we"ird, one`}, false)), "\n"))
	assert.True(t, unquotable("/^.*$"))
	assert.False(t, unquotable("app"))
}

func TestReasonsAreTakenFromTheOutputOfPostgreSQL(t *testing.T) {
	text := `postgres: exit status 1: 2026-11-23 21:00:00.000 GMT [77] LOG:  invalid value for parameter "work_mem": "lots" in file "/x/postgresql.conf" line 3
2026-11-23 21:00:00.000 GMT [77] HINT:  Valid units are ...
2026-11-23 21:00:00.000 GMT [77] LOG:  unrecognized configuration parameter "wrk_mem" in file "/x/postgresql.conf" line 9
2026-11-23 21:00:00.000 GMT [77] FATAL:  configuration file "/x/postgresql.conf" contains errors`
	assert.Equal(t, []string{
		`invalid value for parameter "work_mem": "lots"`,
		`unrecognized configuration parameter "wrk_mem"`,
	}, complaints(text))
}

// The example of RFC 7677, section 3: its server signature must result from our secret.
func TestTheSCRAMSecretIsThatOfTheRFC(t *testing.T) {
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	require.NoError(t, err)
	secret, err := scramSecretWith("pencil", salt, 4096)
	require.NoError(t, err)
	head, keys, ok := strings.Cut(strings.TrimPrefix(secret, "SCRAM-SHA-256$"), "$")
	require.True(t, ok)
	assert.Equal(t, "4096:W22ZaJ0SNY7soEsUEjb6gQ==", head)
	_, server, ok := strings.Cut(keys, ":")
	require.True(t, ok)
	key, err := base64.StdEncoding.DecodeString(server)
	require.NoError(t, err)
	const nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("n=user,r=rOprNGfwEbeRWgbNEkqO,r=" + nonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=" +
		nonce))
	assert.Equal(t, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

func TestMasterPasswordsFollowTheRuleOfRDS(t *testing.T) {
	for _, good := range []string{"4k]-%hA|RI*[?j(-(l]{(", ":%#?*[&+", strings.Repeat("x", 128)} {
		require.NoError(t, checkPassword(good))
	}
	for _, bad := range []string{
		"", "short", strings.Repeat("x", 129), "with space", "slash/slash", `quote"quote`, "quote'quote", "at@at-at-at",
		"umlaut-ü-umlaut", "two\nlines",
	} {
		err := checkPassword(bad)
		require.Error(t, err, "%q", bad)
		if bad != "" {
			assert.NotContains(t, err.Error(), bad)
		}
	}
}
