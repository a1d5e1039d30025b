//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// inCloudNetwork runs a program in the network of the cloud's node.
func inCloudNetwork(t *testing.T, stdin, name string, args ...string) {
	t.Helper()
	words := append([]string{"--target", strconv.Itoa(cloudState(t)), "--net", name}, args...)
	r := command{stdin: stdin, timeout: time.Minute}.run(t, "nsenter", words...)
	require.Zero(t, r.code, "%s", r)
}

// lossy installs rules of nftables in the cloud's network until the test or the returned function removes them.
func lossy(t *testing.T, chain string) (end func()) {
	t.Helper()
	inCloudNetwork(t, "table ip outage {\n"+chain+"\n}\n", "nft", "-f", "-")
	ended := false
	end = func() {
		if !ended {
			ended = true
			inCloudNetwork(t, "", "nft", "delete", "table", "ip", "outage")
		}
	}
	t.Cleanup(end)
	return end
}

// poolProcesses names the processes of the pool: its pods, and how often each was restarted.
func poolProcesses(t *testing.T) string {
	t.Helper()
	return kubectl(t, "-n", namespace, "get", "pods", "-l", "app.kubernetes.io/name="+pool, "--sort-by=.metadata.name",
		"-o", `jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[*].restartCount}{"\n"}{end}`)
}

// poolServes waits until each pod of the pool opens new server connections, and returns how long it took.
func poolServes(t *testing.T, within time.Duration) time.Duration {
	t.Helper()
	start := time.Now()
	eventually(t, within, "each pod of the pool to reach the database", func() (bool, string) {
		r := throughEachPoolPod(t, "select 1")
		return r.code == 0, r.all()
	})
	return time.Since(start).Round(time.Second)
}

func TestThePoolRecoversFromAResolverThatStopsAnsweringForAMinute(t *testing.T) {
	settled(t)
	before := poolProcesses(t)
	name, address, _ := strings.Cut(strings.TrimSpace(kubectl(t, "-n", namespace, "get", "pods", "-l",
		"app.kubernetes.io/name="+pool, "--field-selector=status.phase=Running", "-o",
		"jsonpath={.items[0].metadata.name} {.items[0].status.podIP}")), " ")
	end := lossy(t, `chain prerouting { type filter hook prerouting priority -400;
		udp dport 53 drop
		tcp dport 53 drop
	}`)
	outage := time.After(65 * time.Second)
	host, user, failed := output(t, "databaseEndpoint"), output(t, "databaseUser"), false
	for over := false; !over; {
		// The pool needs new connections, and so the resolver, again and again.
		killServerConnections(t, user)
		inServicePod(t, `timeout 3 psql "$DATABASE_URL&hostaddr=`+address+`&port=6432" -XAtc 'select 1' || true`)
		r := tryKubectl(t, "", "-n", namespace, "exec", name, "-c", pool, "--", "psql",
			"--no-psqlrc", "--tuples-only", "--no-align", "--command=SHOW DNS_HOSTS")
		assert.Zero(t, r.code, "the console answers during the outage: %s", r)
		failed = failed || regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(host)+`\|\d+\|$`).MatchString(r.stdout)
		select {
		case <-outage:
			over = true
		case <-time.After(2 * time.Second):
		}
	}
	end()
	assert.True(t, failed, "the pool looked the instance up in vain")
	t.Logf("the pool served %s after the resolver was back", poolServes(t, 30*time.Second))
	// A probe that counted the outage would fail by now.
	assert.Equal(t, before, poolProcesses(t), "an outage of the resolver restarts no pool")
	mustDbtier(t, "verify", "--stack", "local")
}

func TestThePoolFindsTheInstanceAtAnotherAddress(t *testing.T) {
	settled(t)
	file := filepath.Join(root, ".localcloud", "state", "dns", "hosts")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	host := output(t, "databaseEndpoint")
	line := regexp.MustCompile(`(?m)^(\S+)\s+` + regexp.QuoteMeta(host) + `$`).FindStringSubmatch(string(text))
	require.NotNil(t, line, "%s", text)
	old := line[1]
	// Another address in the databases' network.
	other := old[:strings.LastIndex(old, ".")] + ".251"
	require.NotContains(t, string(text), other)

	before := poolProcesses(t)
	end := lossy(t, `chain raw { type filter hook prerouting priority -300;
		ip daddr `+old+` drop
	}
	chain nat { type nat hook prerouting priority -110;
		ip daddr `+other+` dnat to `+old+`
	}`)
	move := func(from, to string) {
		changed := strings.Replace(string(text), from+line[0][len(old):], to+line[0][len(old):], 1)
		require.NoError(t, os.WriteFile(file, []byte(changed), 0o644))
	}
	t.Cleanup(func() { require.NoError(t, os.WriteFile(file, text, 0o644)) })
	move(old, other)
	t.Logf("the pool served %s after the address changed", poolServes(t, time.Minute))
	known := kubectl(t, "-n", namespace, "exec", "deployment/"+pool, "-c", pool, "--", "psql", "--no-psqlrc",
		"--tuples-only", "--command=SHOW DNS_HOSTS")
	assert.Contains(t, known, other)

	end()
	move(old, old)
	poolServes(t, time.Minute)
	assert.Equal(t, before, poolProcesses(t), "nothing was restarted")
	mustDbtier(t, "verify", "--stack", "local")
}
