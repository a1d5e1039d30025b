package analyzer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"dbtier/policy/rule"
)

// waiting are the rules that wait for an unknown value, by the resource and path of the value.
type waiting map[string]map[string]bool

func (w waiting) add(name, urn, path string) {
	key := urn[strings.LastIndex(urn, "::")+len("::"):] + "." + path
	if w[key] == nil {
		w[key] = map[string]bool{}
	}
	w[key][name] = true
}

// String lists the values, each with the rules that wait for it.
func (w waiting) String() string {
	const shown = 3
	rules := map[string]bool{}
	lines := make([]string, 0, len(w))
	for _, value := range slices.Sorted(maps.Keys(w)) {
		names := slices.Sorted(maps.Keys(w[value]))
		maps.Copy(rules, w[value])
		if more := len(names) - shown; more > 1 {
			names = append(names[:shown], fmt.Sprintf("and %d more", more))
		}
		lines = append(lines, fmt.Sprintf("  %s: %s", value, strings.Join(names, ", ")))
	}
	return fmt.Sprintf("%d %s:\n%s", len(rules), rule.Waiting, strings.Join(lines, "\n"))
}

// logAt writes a message into the log of the engine at an address, as information.
func logAt(ctx context.Context, address, message string) error {
	if address == "" {
		return nil
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connecting to the engine: %w", err)
	}
	defer conn.Close()
	request := &pulumirpc.LogRequest{Severity: pulumirpc.LogSeverity_INFO, Message: message}
	if _, err = pulumirpc.NewEngineClient(conn).Log(ctx, request); err != nil {
		return fmt.Errorf("writing into the engine's log: %w", err)
	}
	return nil
}
