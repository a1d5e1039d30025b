package verify

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"

	"dbtier/components/contract"
)

// A pod lends its idle server connections in turn only while others are busy, so the samples run at the same time and
// each holds its connection for a moment.
const samplesOfAPod = 3

// leftSQL asks a server connection for what outlives a transaction. The names of the settings that may differ are in
// the psql variable tracked.
//
//go:embed left.sql
var leftSQL string

// alwaysTracked are the settings that PgBouncer restores for each client by itself.
var alwaysTracked = []string{
	"application_name", "client_encoding", "datestyle", "standard_conforming_strings", "timezone",
}

// sessions samples server connections of the service's pool. In transaction mode the next client gets what the last
// one left there: a setting, a lock, a temporary table.
func (v *Verifier) sessions(ctx context.Context) (string, error) {
	t := v.Target
	pods, err := v.poolPods(ctx)
	if err != nil {
		return "", err
	}
	var places []string
	for _, pod := range pods {
		places = append(places, fmt.Sprintf("hostaddr=%s&port=%d", pod.ip, pod.port))
	}
	if len(places) == 0 {
		return "", found(v.kubectl("describe deployment "+t.Pool), "no pod of %s runs", t.Pool)
	}
	config, err := v.console(ctx, "SHOW CONFIG")
	if err != nil {
		return "", v.poolFault(err)
	}
	tracked := append(slices.Clone(alwaysTracked), trackedBy(config)...)
	// psql reads the statements from stdin, so that the shell does not interpret them.
	line := fmt.Sprintf(`command -v psql >/dev/null || exit 127; : "${DATABASE_URL:?is not in the environment}"
sql=$(cat); for at in '%s'; do for sample in $(seq %d); do
printf '%%s\n' "$sql" | psql "$DATABASE_URL&$at" --no-psqlrc --quiet --tuples-only --no-align --set=tracked='%s' 2>&1 &
done; done
wait`, strings.Join(places, "' '"), samplesOfAPod, strings.Join(tracked, ","))
	out, like, err := v.inServicePod(ctx, leftSQL, line)
	if err != nil {
		return "", v.databaseFault(err)
	}
	left, connections, faults := parseLeft(out)
	switch {
	case len(left) > 0:
		return "", found(v.kubectl("rollout restart deployment "+t.Pool),
			"the next client gets what the last one left on the server connections of %s: %s. The command clears "+
				"them; the service must use SET LOCAL and locks of the transaction, or pool.serverResetQueryAlways",
			t.Pool, strings.Join(left, ", "))
	case len(faults) > 0:
		return "", found(v.poolStatus(), "a sample failed: %s", faults[0])
	case connections == 0:
		return "", found(v.poolStatus(), "no sample answered")
	}
	return fmt.Sprintf("%d server connections of %d pods hold nothing of a client%s", connections, len(places),
		like), nil
}

// poolPod is a running pod of the pool, with the address of PgBouncer.
type poolPod struct {
	name, ip string
	port     int
}

// poolPods returns the pool's running pods, without those that are being deleted.
func (v *Verifier) poolPods(ctx context.Context) ([]poolPod, error) {
	t := v.Target
	var list struct {
		Items []struct {
			Metadata struct {
				Name              string `json:"name"`
				DeletionTimestamp string `json:"deletionTimestamp"`
			} `json:"metadata"`
			Spec struct {
				Containers []struct {
					Name  string `json:"name"`
					Ports []struct {
						ContainerPort int `json:"containerPort"`
					} `json:"ports"`
				} `json:"containers"`
			} `json:"spec"`
			Status struct {
				Phase string `json:"phase"`
				PodIP string `json:"podIP"`
			} `json:"status"`
		} `json:"items"`
	}
	if err := v.Kubectl.Get(ctx, &list, t.Namespace, "pods", "--selector="+contract.NameLabel+"="+t.Pool); err != nil {
		return nil, err
	}
	var pods []poolPod
	for _, pod := range list.Items {
		for _, c := range pod.Spec.Containers {
			if c.Name == t.PoolContainer && len(c.Ports) > 0 && pod.Status.Phase == "Running" &&
				pod.Metadata.DeletionTimestamp == "" {
				pods = append(pods, poolPod{pod.Metadata.Name, pod.Status.PodIP, c.Ports[0].ContainerPort})
			}
		}
	}
	return pods, nil
}

// trackedBy returns the settings that the pool's configuration adds to those that PgBouncer restores for each client.
func trackedBy(config string) []string {
	for line := range strings.Lines(config) {
		if rest, ok := strings.CutPrefix(line, "track_extra_parameters|"); ok {
			value, _, _ := strings.Cut(rest, "|")
			return strings.FieldsFunc(strings.ToLower(value), func(r rune) bool { return r == ',' || r == ' ' })
		}
	}
	return nil
}

// parseLeft reads the answers of all samples: what was left, how many connections answered, and other lines.
func parseLeft(out string) (left []string, connections int, faults []string) {
	seen, pids := map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if pid, ok := strings.CutPrefix(line, "connection "); ok {
			pids[pid] = true
		} else if what, ok := strings.CutPrefix(line, "left "); ok {
			seen[what] = true
		} else if line != "" {
			faults = append(faults, line)
		}
	}
	return slices.Sorted(maps.Keys(seen)), len(pids), faults
}
