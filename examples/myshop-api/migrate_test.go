package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/golang-migrate/migrate/v4/database"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// recorder is a database that only records its calls.
type recorder struct {
	database.Driver
	ran   []string
	notes []int
	err   error
}

func (r *recorder) Run(m io.Reader) error {
	text, err := io.ReadAll(m)
	if err != nil {
		return err
	}
	r.ran = append(r.ran, string(text))
	return r.err
}

func (r *recorder) SetVersion(version int, _ bool) error {
	r.notes = append(r.notes, version)
	return nil
}

func TestAMigrationAndItsVersionAreOneStatementList(t *testing.T) {
	r := &recorder{}
	d := &atomicDriver{Driver: r}
	require.NoError(t, d.SetVersion(3, true))
	require.NoError(t, d.Run(strings.NewReader("CREATE TABLE a () -- no semicolon")))
	require.NoError(t, d.SetVersion(3, false))
	assert.Empty(t, r.notes, "the version must not be in a separate transaction")
	require.Len(t, r.ran, 1)
	assert.Equal(t, "CREATE TABLE a () -- no semicolon\n"+
		";TRUNCATE schema_migrations; INSERT INTO schema_migrations (version, dirty) VALUES (3, false)", r.ran[0])
}

func TestAVersionWithoutAMigrationIsNotedByItself(t *testing.T) {
	r := &recorder{}
	d := &atomicDriver{Driver: r}
	require.NoError(t, d.SetVersion(4, true))
	require.NoError(t, d.SetVersion(4, false))
	assert.Equal(t, []int{4}, r.notes)
}

func TestAFailureNamesTheMigrationAndItsLine(t *testing.T) {
	cause := &pgconn.PgError{Severity: "ERROR", Code: "23502", Message: `column "currency" contains null values`}
	d := &atomicDriver{Driver: &recorder{err: database.Error{OrigErr: cause, Line: 6, Query: []byte("ALTER …")}}}
	require.NoError(t, d.SetVersion(3, true))
	err := d.Run(strings.NewReader("ALTER …"))
	require.ErrorIs(t, err, cause)
	assert.EqualError(t, err,
		`migration 3: line 6: ERROR: column "currency" contains null values (SQLSTATE 23502); the migration was rolled back`)
}

func TestAFolderThatDoesNotExistIsNamed(t *testing.T) {
	_, err := migrationFiles("/nowhere")
	assert.EqualError(t, err, `--migrations: "/nowhere" is not a folder`)
}

// The broken folder must fail at its last migration, so the migrations before it must be those of the binary.
func TestTheBrokenFolderBeginsWithTheRealMigrations(t *testing.T) {
	names, err := filepath.Glob("migrations/*.up.sql")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		want, err := os.ReadFile(name)
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join("broken", filepath.Base(name)))
		require.NoError(t, err)
		assert.Equal(t, string(want), string(got), name)
	}
}
