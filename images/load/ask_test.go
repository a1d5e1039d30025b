package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The restored database is a copy of the fake one, made while the load runs.
func TestTheRunningLoadComparesARestoredDatabase(t *testing.T) {
	controlSocket = fmt.Sprintf("@dbtier-load-%d", os.Getpid())
	db := &fakeDatabase{}
	opts := defaults
	copies := map[string]*fakeDatabase{}
	opts.restored = func(host string) (database, error) {
		if found := copies[host]; found != nil {
			return found, nil
		}
		return nil, errors.New("no such host")
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, opts, db, &bytes.Buffer{}) }()
	asked := func(q *question) (said *line, err error) {
		var out bytes.Buffer
		err = ask(t.Context(), q, &out)
		if err != nil && out.Len() == 0 {
			return nil, err
		}
		said = &line{}
		require.NoError(t, json.Unmarshal(out.Bytes(), said))
		return said, err
	}
	var before time.Time
	require.Eventually(t, func() bool {
		db.mu.Lock()
		defer db.mu.Unlock()
		if len(db.effects) < 30 {
			return false
		}
		before = time.Now()
		whole, torn := map[int64]int64{}, map[int64]int64{}
		for id, n := range db.effects {
			whole[id], torn[id] = n, n
		}
		delete(torn, 1)
		copies["whole"], copies["torn"] = &fakeDatabase{effects: whole}, &fakeDatabase{effects: torn}
		copies["down"] = &fakeDatabase{down: func() bool { return true }}
		return true
	}, 20*time.Second, 10*time.Millisecond)

	said, err := asked(&question{"whole", before.Add(-time.Second), before})
	require.NoError(t, err)
	assert.GreaterOrEqual(t, said.Restored.Rows, 29)
	assert.Equal(t, "16.14", said.Restored.Server)
	said.Restored.Rows, said.Restored.Server, said.Restored.Newest = 0, "", moment{}
	assert.Equal(t, &restored{
		From: said.Restored.From, Until: said.Restored.Until, IDs: []int64{},
	}, said.Restored)

	said, err = asked(&question{"torn", before.Add(-time.Minute), before})
	require.NoError(t, err)
	assert.Equal(t, []int64{1}, said.Restored.IDs)
	assert.Equal(t, 1, said.Restored.Torn)

	said, err = asked(&question{"down", before, before})
	require.ErrorAs(t, err, &problemError{})
	assert.Equal(t, "reading the restored database at down: connection refused", said.Problem)
	_, err = asked(&question{"nowhere", before, before})
	require.ErrorContains(t, err, "no such host")
	cancel()
	require.NoError(t, <-ended)
	_, err = asked(&question{"whole", before, before})
	require.ErrorContains(t, err, "no load runs in this pod")
}

func TestTheLoginPastThePool(t *testing.T) {
	env := map[string]string{
		"DIRECT_HOST": "db.internal", "DIRECT_PORT": "5433", "DIRECT_DATABASE": "shop", "DIRECT_USER": "shop_app_a",
		"DIRECT_PASSWORD": "a/b:c@d%?#", "DIRECT_SSLMODE": "require",
	}
	getenv := func(name string) string { return env[name] }
	o := options{run: "k3v9", direct: true}
	db, err := o.open(getenv)
	require.NoError(t, err)
	cfg := db.(*postgres).config
	assert.Equal(t, []any{"db.internal", uint16(5433), "shop", "shop_app_a", "a/b:c@d%?#"},
		[]any{cfg.Host, cfg.Port, cfg.Database, cfg.User, cfg.Password})
	db, err = o.restored("other.internal")
	require.NoError(t, err)
	assert.Equal(t, "other.internal", db.(*postgres).config.Host)

	env["DIRECT_SSLROOTCERT"], env["DIRECT_SSLMODE"] = "/nowhere", "verify-full"
	_, err = o.open(getenv)
	require.ErrorContains(t, err, "DIRECT_SSLROOTCERT cannot be used")
	assert.NotContains(t, err.Error(), "a/b")
	delete(env, "DIRECT_PASSWORD")
	o = options{run: "k3v9", direct: true}
	_, err = o.open(getenv)
	require.ErrorIs(t, err, errNoDirect)
	assert.Nil(t, o.restored)
}
