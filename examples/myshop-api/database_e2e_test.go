//go:build e2e

package main

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// These tests need an empty database: MYSHOP_TEST_DATABASE_URL. The local cloud's tests run them on one of its
// instances.
func databaseURL(t *testing.T) string {
	t.Helper()
	url := os.Getenv("MYSHOP_TEST_DATABASE_URL")
	require.NotEmpty(t, url, "MYSHOP_TEST_DATABASE_URL must name a PostgreSQL database that may be emptied")
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), "DROP TABLE IF EXISTS orders, currencies, schema_migrations")
	require.NoError(t, err)
	return url
}

func migrated(t *testing.T, url, dir string) (log string, err error) {
	t.Helper()
	var out bytes.Buffer
	err = migrateUp(t.Context(), url, dir, slog.New(slog.NewJSONHandler(&out, nil)))
	return out.String(), err
}

func TestMigrateUpMakesTheSchemaOnceAndServeUsesIt(t *testing.T) {
	url := databaseURL(t)
	log, err := migrated(t, url, "")
	require.NoError(t, err)
	assert.Contains(t, log, `"from":0,"to":2`)
	log, err = migrated(t, url, "")
	require.NoError(t, err)
	assert.Contains(t, log, "up to date")

	pool, err := pgxpool.New(t.Context(), url)
	require.NoError(t, err)
	defer pool.Close()
	handler := routes(orders{pool}, slog.New(slog.DiscardHandler))
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz", http.NoBody))
	assert.Equal(t, 200, w.Code, w.Body)
	w = httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	assert.Equal(t, 200, w.Code, w.Body)
	assert.Contains(t, w.Body.String(), "teapot")
}

func TestAFailedMigrationLeavesNothingAndCanBeTriedAgain(t *testing.T) {
	url := databaseURL(t)
	_, err := migrated(t, url, "")
	require.NoError(t, err)
	for range 2 {
		_, err = migrated(t, url, "broken")
		require.ErrorContains(t, err,
			`migration 3: line 1: ERROR: column "currency" of relation "orders" contains null values`)
	}
	log, err := migrated(t, url, "")
	require.NoError(t, err, "the version before it goes on working")
	assert.Contains(t, log, `"version":2`)
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	var left bool
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT to_regclass('currencies') IS NOT NULL").Scan(&left))
	assert.False(t, left, "the table that the failed migration created first")
}

func TestRunsAtOnceMigrateOnce(t *testing.T) {
	url := databaseURL(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			_, err := migrated(t, url, "")
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	var n int
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM orders").Scan(&n))
	assert.Equal(t, 3, n)
}
