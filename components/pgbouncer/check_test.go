package pgbouncer_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
	"dbtier/components/pgbouncer"
)

// The script reads the files as the pool writes them, with every quote that they double.
func TestTheLoginCheckLogsInAsThePoolDoes(t *testing.T) {
	t.Parallel()
	args := shared()
	recorded := componenttest.Run(t, create(args))
	files := templates(t, recorded, "pool-config")
	values := sharedSecrets()
	values["databaseUser"], values["databasePassword"] = "myshop_app_a", `p"" '$x`+"`"+`\ *`
	values["databaseUser1"], values["databasePassword1"] = `re'ad"er`, `"`
	dir, tools := t.TempDir(), t.TempDir()
	for _, name := range []string{"pgbouncer.ini", "userlist.txt"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(render(t, files[name], values)), 0o600))
	}
	require.NoError(t, os.WriteFile(filepath.Join(tools, "psql"), []byte(`#!/bin/sh
echo "$PGUSER $PGPASSWORD $PGHOST $PGPORT $PGDATABASE $PGSSLMODE $PGSSLROOTCERT $*" >>"`+dir+`/calls"
[ "$PGUSER" != batch ] || { printf 'psql: error: one\nFATAL:  password authentication failed\n' >&2; exit 2; }
`), 0o700))
	check := exec.CommandContext(t.Context(), "sh", "-c", pgbouncer.LoginCheck, "check", dir, "/ca.pem")
	check.Env = []string{"PATH=" + tools + ":/bin:/usr/bin"}
	out, err := check.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Equal(t, "accepted myshop_app_a\naccepted re'ad\"er\nfailed batch: FATAL:  password authentication failed\n",
		string(out))
	calls, err := os.ReadFile(filepath.Join(dir, "calls"))
	require.NoError(t, err)
	const rest = " verify-full /ca.pem --no-psqlrc --quiet --tuples-only --no-align --command=select 1\n"
	assert.Equal(t, `myshop_app_a p"" '$x`+"`"+`\ * `+host+" 5432 myshop"+rest+
		`re'ad"er " `+host+" 5432 myshop"+rest+
		"batch d2 "+host+" 5432 archive"+rest, string(calls))
}
