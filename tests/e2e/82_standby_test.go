//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// instanceRecord is what the local RDS knows of the stack's instance.
type instanceRecord struct {
	Address string
	Standby *struct{ InSync bool }
}

func recordOf(t *testing.T, identifier string) (r instanceRecord) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, ".localcloud", "state", "postgres", identifier, "instance.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &r))
	return r
}

// primaryServer returns the process of the PostgreSQL that serves an instance.
func primaryServer(t *testing.T, identifier string) int {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, file := range processes {
		text, err := os.ReadFile(file)
		words := strings.Split(string(text), "\x00")
		if err != nil || len(words) < 3 || words[1] != "-D" || filepath.Base(filepath.Dir(words[2])) != identifier {
			continue
		}
		dir := filepath.Dir(file)
		if _, err := os.Stat(filepath.Join(dir, "cwd", "standby.signal")); err == nil {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		require.NoError(t, err)
		return pid
	}
	t.Fatalf("there is no PostgreSQL of %s", identifier)
	return 0
}

func zoneOf(t *testing.T, identifier string) string {
	t.Helper()
	zone := strings.TrimSpace(aws(t, "rds", "describe-db-instances", "--db-instance-identifier", identifier,
		"--query", "DBInstances[0].AvailabilityZone", "--output", "text").stdout)
	require.NotEmpty(t, zone)
	return zone[len(zone)-1:]
}

// A hundred clients write through the pool while the primary is lost again and again. Every write that was acknowledged
// must be there in the end.
func TestAStandbyTakesOverUnderLoadAndNoAcknowledgedWriteIsLost(t *testing.T) {
	settled(t)
	rounds := 21
	if testing.Short() {
		rounds = 3
	}
	multi := withConfig(t, "config:\n", "config:\n  dbtier:database: {multiAz: true}\n")
	r := multi.run(t, "bin/dbtier", "up", "--stack", "local")
	require.Zero(t, r.code, "%s", r)
	identifier, restarts := output(t, "databaseIdentifier"), podRestarts(t)
	pod := servicePod(t)
	inPod := func(script string) result {
		return tryKubectl(t, "", "-n", namespace, "exec", pod, "-c", service, "--", "bash", "-ec", script)
	}
	var ledger struct {
		Acknowledged, Unknown, Lost int
		Outages                     []float64
		Error                       string
	}
	var said result
	var wait sync.WaitGroup
	wait.Go(func() {
		said = inPod(`/myshop-api soak --write --clients 100 & echo $! > /tmp/writes.pid; wait $!`)
	})
	stop := sync.OnceFunc(func() {
		inPod("kill $(cat /tmp/writes.pid)")
		wait.Wait()
	})
	defer stop()
	eventually(t, time.Minute, "the clients", func() (bool, string) {
		n := poolClients(t)
		return n >= 100, strconv.Itoa(n)
	})
	for round := range rounds {
		eventually(t, time.Minute, "a standby that is in sync", func() (bool, string) {
			s := recordOf(t, identifier).Standby
			return s != nil && s.InSync, ""
		})
		before := recordOf(t, identifier).Address
		switch round % 3 {
		case 0:
			require.NoError(t, syscall.Kill(primaryServer(t, identifier), syscall.SIGKILL))
		case 1:
			mustDbtier(t, "local", "fault", "zone", zoneOf(t, identifier))
		case 2:
			r := aws(t, "rds", "reboot-db-instance", "--db-instance-identifier", identifier, "--force-failover")
			require.Zero(t, r.code, "%s", r)
		}
		eventually(t, time.Minute, "the other server", func() (bool, string) {
			now := recordOf(t, identifier).Address
			return now != before, now
		})
		eventually(t, time.Minute, "writes through the pool", func() (bool, string) {
			r := inPod(`PGCONNECT_TIMEOUT=2 psql "$DATABASE_URL" -XAtqc "begin; delete from orders where false; commit"`)
			return r.code == 0, r.all()
		})
		if round%3 == 1 {
			mustDbtier(t, "local", "fault", "end")
		}
	}
	stop()
	require.Zero(t, said.code, "%s", said)
	require.NoError(t, json.Unmarshal([]byte(said.stdout), &ledger), "%s", said)
	assert.Zero(t, ledger.Lost)
	assert.Positive(t, ledger.Acknowledged)
	slices.Sort(ledger.Outages)
	t.Logf("%d failovers, by turns a killed server, the outage of a zone, a reboot with failover: %d writes "+
		"acknowledged, %d unknown (%s), %d lost; times without an acknowledged write in seconds: %.1f", rounds,
		ledger.Acknowledged, ledger.Unknown, ledger.Error, ledger.Lost, ledger.Outages)
	events := aws(t, "rds", "describe-events", "--source-type", "db-instance", "--source-identifier", identifier,
		"--event-categories", "failover", "--query", "Events[].Message", "--output", "text")
	assert.Equal(t, rounds, strings.Count(events.stdout, "failover completed"), "%s", events)
	assert.Equal(t, restarts, podRestarts(t), "an unavailable database must not restart a pod")
	r = multi.run(t, "bin/dbtier", "verify", "--stack", "local")
	assert.Zero(t, r.code, "%s", r)
	mustDbtier(t, "up", "--stack", "local")
	assert.Nil(t, recordOf(t, identifier).Standby)
	mustDbtier(t, "verify", "--stack", "local")
}
