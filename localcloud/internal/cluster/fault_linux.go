package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"dbtier/localcloud/internal/aws"
	"dbtier/localcloud/internal/netpol"
)

// faultTable is the name of the nftables table that drops packets.
const faultTable = "inet localcloud_faults"

// dropPackets drops all packets to and from the addresses, which belong to this network namespace.
func dropPackets(addresses []netip.Addr) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var list []string
	for _, a := range addresses {
		list = append(list, a.String())
	}
	rules := "table " + faultTable + "\ndelete table " + faultTable + "\n"
	if len(list) > 0 {
		set := "{ " + strings.Join(list, ", ") + " }"
		rules += "table " + faultTable + ` {
	chain in { type filter hook input priority -300; ip daddr ` + set + ` drop; }
	chain out { type filter hook output priority -300; ip saddr ` + set + ` drop; }
}
`
	}
	return netpol.Apply(ctx, rules)
}

// FailZone makes an availability zone stop answering, until [EndFaults] or the end of the local cloud.
func FailZone(ctx context.Context, p Project, zone string, out io.Writer) error {
	if err := askFault(ctx, p, http.MethodPost, aws.FaultZone, zone); err != nil {
		return err
	}
	fmt.Fprintf(out, "zone %s does not answer until `dbtier local fault end`\n", zone)
	return nil
}

// FailInstance causes a fault of a DB instance, until it is repaired as on RDS, or [EndFaults], or the end of the local
// cloud. The identifier can be empty if there is one instance.
func FailInstance(ctx context.Context, p Project, kind, identifier string, out io.Writer) error {
	if err := askFault(ctx, p, http.MethodPost, kind, identifier); err != nil {
		return err
	}
	fmt.Fprintln(out, map[string]string{
		aws.FaultStorage: "the disk is full, and PostgreSQL has stopped: more allocated storage starts it again, or " +
			"`dbtier local fault end`",
		aws.FaultParameters: "PostgreSQL does not start with its parameters: another value in the parameter " +
			"group and a reboot start it again, or `dbtier local fault end`",
		aws.FaultRotation: "rotations of the master password fail until `dbtier local fault end`",
	}[kind])
	return nil
}

// EndFaults ends all faults.
func EndFaults(ctx context.Context, p Project, out io.Writer) error {
	if err := askFault(ctx, p, http.MethodDelete, "", ""); err != nil {
		return err
	}
	fmt.Fprintln(out, "all faults have ended")
	return nil
}

func askFault(ctx context.Context, p Project, method, kind, of string) error {
	if err := needRoot(); err != nil {
		return err
	}
	if _, alive, err := p.Find(); err != nil {
		return err
	} else if !alive {
		return NotRunningError{}
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://localcloud/aws/faults?"+
		url.Values{"kind": {kind}, "of": {of}}.Encode(), http.NoBody)
	if err != nil {
		return err
	}
	client := controlClient(p)
	client.Timeout = 5 * time.Minute // a failover, or the copy of a new standby
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("asking the local cloud: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNoContent {
		return nil
	}
	var said struct{ Message string }
	if err := json.NewDecoder(response.Body).Decode(&said); err != nil || said.Message == "" {
		return fmt.Errorf("the local cloud answered %s", response.Status)
	}
	return fmt.Errorf("%s", said.Message)
}
