package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"dbtier/localcloud/internal/aws"
	"dbtier/localcloud/internal/aws/wire"
	"dbtier/localcloud/internal/netpol"
)

// faultTable is the name of the nftables table that drops packets.
const faultTable = "inet localcloud_faults"

// dropPackets drops all packets to and from the addresses, which belong to this network namespace.
func dropPackets(addresses []netip.Addr) error {
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
	return applyRules(rules)
}

// applyRules gives rules to the kernel.
func applyRules(rules string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return netpol.Apply(ctx, rules)
}

// partitionTable is the name of the nftables table that separates pods and databases.
const partitionTable = "inet localcloud_partition"

// partitionRules drop all packets between the pods and the database servers of all zones, or none. Primary and standby
// still see each other, and the stand-in sees both, so nothing fails over.
func partitionRules(cut bool) string {
	rules := "table " + partitionTable + "\ndelete table " + partitionTable + "\n"
	if cut {
		rules += fmt.Sprintf(`table %s {
	chain in { type filter hook input priority -300; ip saddr %[2]s ip daddr %[3]s drop; }
	chain out { type filter hook output priority -300; ip saddr %[3]s ip daddr %[2]s drop; }
}
`, partitionTable, podPrefix, databasePrefix)
	}
	return rules
}

// partition separates pods and databases, or no longer.
func (s *supervisor) partition(cut bool) error {
	s.partitioning.Lock()
	defer s.partitioning.Unlock()
	if err := s.applyRules(partitionRules(cut)); err != nil {
		return fmt.Errorf("separating pods and databases: %w", err)
	}
	s.partitioned.Store(cut)
	return nil
}

// cause causes a fault.
func (s *supervisor) cause(ctx context.Context, f Fault) error {
	if f.Of != "" && (f.Kind == FaultAPIServer || f.Kind == FaultNetwork) {
		return fmt.Errorf("%s: %q: this fault is of the whole cluster", f.Kind, f.Of)
	}
	switch f.Kind {
	case FaultAPIServer:
		return s.parts[apiServer].freeze(true)
	case FaultNetwork:
		return s.partition(true)
	default:
		return s.awsCloud.Load().Fail(ctx, f.Kind, f.Of)
	}
}

// endFaults ends all faults.
func (s *supervisor) endFaults(ctx context.Context, _ Fault) error {
	return errors.Join(s.parts[apiServer].freeze(false), s.partition(false), s.awsCloud.Load().EndFaults(ctx))
}

// faults returns the faults in force.
func (s *supervisor) faults() []Fault {
	all := []Fault{} // JSON has a list in any case
	if c := s.parts[apiServer]; c != nil && c.snapshot().Frozen {
		all = append(all, Fault{Kind: FaultAPIServer})
	}
	if s.partitioned.Load() {
		all = append(all, Fault{Kind: FaultNetwork})
	}
	if cloud := s.awsCloud.Load(); cloud != nil {
		for _, f := range cloud.Faults() {
			all = append(all, Fault(f))
		}
	}
	return all
}

// serveFaults lets commands cause faults and end them. None of this needs the API server.
func (s *supervisor) serveFaults(mux *http.ServeMux) {
	handle := func(method string, do func(context.Context, Fault) error) {
		mux.HandleFunc(method+" /faults", func(w http.ResponseWriter, r *http.Request) {
			query := r.URL.Query()
			f := Fault{Kind: query.Get("kind"), Of: query.Get("of")}
			var err error
			if phase := s.status().Phase; phase == PhaseReady {
				err = do(r.Context(), f)
			} else {
				err = fmt.Errorf("the local cloud is %s", phase)
			}
			if err == nil {
				s.log.Info("faults", "method", method, "fault", f.String())
				w.WriteHeader(http.StatusNoContent)
				return
			}
			s.log.Warn("faults: refused", "method", method, "fault", f.String(), "error", err)
			message := err.Error()
			var refused *wire.Error
			if errors.As(err, &refused) && refused.Error() == message {
				message = refused.Message // without AWS's code, which is for programs
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnprocessableEntity)
			_ = json.NewEncoder(w).Encode(map[string]string{"message": message})
		})
	}
	handle(http.MethodPost, s.cause)
	handle(http.MethodDelete, s.endFaults)
}

// Fail causes a fault, until [EndFaults] or the end of the local cloud. What it is of can be empty for a fault of a DB
// instance if there is one instance. A broken instance can also be repaired as on RDS.
func Fail(ctx context.Context, p Project, f Fault, out io.Writer) error {
	if err := askFault(ctx, p, http.MethodPost, f); err != nil {
		return err
	}
	const end = "`dbtier local fault end`"
	fmt.Fprintln(out, map[string]string{
		aws.FaultZone:    "zone " + f.Of + " does not answer until " + end,
		aws.FaultService: "the API of " + f.Of + " answers \"503 ServiceUnavailable\" until " + end,
		aws.FaultStorage: "the disk is full, and PostgreSQL has stopped: more allocated storage starts it again, or " +
			end,
		aws.FaultParameters: "PostgreSQL does not start with its parameters: another value in the parameter group " +
			"and a reboot start it again, or " + end,
		aws.FaultRotation: "rotations of the master password fail until " + end,
		FaultAPIServer:    "the Kubernetes API server does not answer until " + end,
		FaultNetwork:      "no packet passes between pods and databases until " + end,
	}[f.Kind])
	return nil
}

// EndFaults ends all faults.
func EndFaults(ctx context.Context, p Project, out io.Writer) error {
	if err := askFault(ctx, p, http.MethodDelete, Fault{}); err != nil {
		return err
	}
	fmt.Fprintln(out, "all faults have ended")
	return nil
}

func askFault(ctx context.Context, p Project, method string, f Fault) error {
	if err := needRoot(); err != nil {
		return err
	}
	if _, alive, err := p.Find(); err != nil {
		return err
	} else if !alive {
		return NotRunningError{}
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://localcloud/faults?"+
		url.Values{"kind": {f.Kind}, "of": {f.Of}}.Encode(), http.NoBody)
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
