package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"dbtier/localcloud/internal/rds"
)

// report is the output of `localcloud status --json`.
type report struct {
	Running bool    `json:"running"`
	Cloud   *Cloud  `json:"cloud,omitempty"`
	Status  *Status `json:"status,omitempty"`
	// Disk is the space of the databases and their backups.
	Disk *rds.Usage `json:"disk,omitempty"`
}

// NotRunningError is returned by commands that need a running cloud.
type NotRunningError struct{}

func (NotRunningError) Error() string {
	return "the local cloud is not running: start it with `dbtier local start`"
}

// Show prints the state of the local cloud. It returns an error if the cloud is not running.
func Show(ctx context.Context, p Project, asJSON bool, out io.Writer) error {
	cloud, alive, err := p.Find()
	if err != nil {
		return err
	}
	r := report{}
	if alive {
		r.Status, alive = p.settle(ctx, 2*time.Second)
	}
	if alive {
		r.Cloud, r.Running = cloud, r.Status != nil
		usage, err := rds.ReadUsage(p.State("postgres"))
		if err != nil {
			return err
		}
		r.Disk = &usage
	}
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(r); err != nil {
			return err
		}
	}
	if !alive {
		return NotRunningError{}
	}
	if r.Status == nil {
		return fmt.Errorf(
			"process %d of the local cloud does not answer: stop it with `dbtier local stop` and start it again",
			cloud.PID,
		)
	}
	if asJSON {
		return nil
	}
	fmt.Fprintf(out, "%s for %s, process %d\nKubernetes  https://127.0.0.1:%d  (kubeconfig %s)\nAWS         %s\n"+
		"disk        databases %d MiB, snapshots %d MiB, archived log %d MiB\n",
		r.Status.Phase,
		time.Since(r.Status.Since).Round(time.Second), cloud.PID, cloud.APIPort, cloud.Kubeconfig, cloud.AWSEndpoint,
		r.Disk.Databases>>20, r.Disk.Snapshots>>20, r.Disk.Archives>>20)
	for _, f := range r.Status.Faults {
		fmt.Fprintf(out, "fault       %s, until `dbtier local fault end`\n", f)
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "COMPONENT\tSTATE\tFOR\tRESTARTS\tLAST END")
	for _, c := range r.Status.Components {
		state, since := "runs", "-"
		switch {
		case c.PID == 0:
			state = "down"
		case c.Frozen:
			state = "frozen"
		}
		if !c.Since.IsZero() {
			since = time.Since(c.Since).Round(time.Second).String()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", c.Name, state, since, c.Restarts, c.Last)
	}
	return w.Flush()
}
