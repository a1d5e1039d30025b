package analyzer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"dbtier/policy/rule"
)

// judge is the manager of one rule at work.
type judge struct {
	server   *Server
	rule     *served
	level    rule.Level
	config   map[string]any
	urn      string
	response *pulumirpc.AnalyzeResponse
	notes    []string
}

var _ rule.Manager = (*judge)(nil)

// ReportViolation puts a violation into the answer.
func (j *judge) ReportViolation(message, urn string) { j.add(message, urn, j.level) }

// Excepted shows what is let pass, so that nobody forgets it.
func (j *judge) Excepted(message, urn string) { j.add(message, urn, rule.Advisory) }

func (j *judge) add(message, urn string, level rule.Level) {
	if urn == "" {
		urn = j.urn
	}
	j.response.Diagnostics = append(j.response.Diagnostics, &pulumirpc.AnalyzeDiagnostic{
		PolicyName: j.rule.Name, PolicyPackName: j.server.pack.Name, PolicyPackVersion: j.server.pack.Version,
		Description: j.rule.Summary,
		Message:     j.rule.Summary + "\n" + message, EnforcementLevel: pulumirpc.EnforcementLevel(level), Urn: urn,
		Severity: severity(j.rule.Severity),
	})
}

// Pending notes that the rule waits. In a preview the update judges; where nothing will become known any more, as in a
// state whose secrets cannot be read, that is said as a violation that stops nothing.
func (j *judge) Pending(path, urn string) {
	if urn == "" {
		urn = j.urn
	}
	if slices.Contains(j.notes, urn+path) {
		return
	}
	j.notes = append(j.notes, urn+path)
	if !j.DryRun() {
		j.add(fmt.Sprintf("%s: is not known, so this was not judged", path), urn, rule.Advisory)
		return
	}
	j.response.NotApplicable = append(j.response.NotApplicable, &pulumirpc.PolicyNotApplicable{
		PolicyName: j.rule.Name, Reason: fmt.Sprintf("%s is not known before the update, which judges it", path),
	})
	j.server.wait(j.rule.Name, urn, path)
}

// Config is the rule's.
func (j *judge) Config() map[string]any { return j.config }

// DryRun tells previews.
func (j *judge) DryRun() bool {
	j.server.mu.Lock()
	defer j.server.mu.Unlock()
	return j.server.dryRun
}

// Now is the pack's clock.
func (j *judge) Now() time.Time { return j.server.pack.Now() }

// Exceptions are those of every rule.
func (j *judge) Exceptions() map[string][]rule.Exception {
	j.server.mu.Lock()
	defer j.server.mu.Unlock()
	all := map[string][]rule.Exception{}
	for name, config := range j.server.config {
		if exceptions := rule.ExceptionsOf(config.Properties); len(exceptions) > 0 {
			all[name] = exceptions
		}
	}
	return all
}

// waiting are the values that rules wait for: by resource and path, the rules.
type waiting map[string]map[string]bool

func (s *Server) wait(name, urn, path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == nil {
		s.waiting = waiting{}
	}
	key := urn[strings.LastIndex(urn, "::")+len("::"):] + "." + path
	if s.waiting[key] == nil {
		s.waiting[key] = map[string]bool{}
	}
	s.waiting[key][name] = true
}

// sayWaiting tells which rules the update still has to judge.
func (s *Server) sayWaiting(ctx context.Context) {
	s.mu.Lock()
	waits, address := s.waiting, s.engine
	s.waiting = nil
	s.mu.Unlock()
	if len(waits) == 0 {
		return
	}
	message := waits.String()
	if s.pack.Say != nil {
		s.pack.Say(ctx, message)
		return
	}
	// That it cannot be said is no reason to fail the preview.
	_ = tell(ctx, address, message)
}

// String names the values and, for each, the rules that wait for it.
func (w waiting) String() string {
	rules := map[string]bool{}
	lines := make([]string, 0, len(w))
	for _, value := range slices.Sorted(maps.Keys(w)) {
		names := slices.Sorted(maps.Keys(w[value]))
		for _, name := range names {
			rules[name] = true
		}
		const shown = 3
		if more := len(names) - shown; more > 1 {
			names = append(names[:shown], fmt.Sprintf("and %d more", more))
		}
		lines = append(lines, fmt.Sprintf("  %s: %s", value, strings.Join(names, ", ")))
	}
	return fmt.Sprintf("%d policies will judge at the update, when these values are known:\n%s", len(rules),
		strings.Join(lines, "\n"))
}

// tell puts a message into the engine's log, where it is neither an error nor a warning.
func tell(ctx context.Context, address, message string) error {
	if address == "" {
		return nil
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("reaching the engine: %w", err)
	}
	defer conn.Close()
	if _, err = pulumirpc.NewEngineClient(conn).Log(ctx,
		&pulumirpc.LogRequest{Severity: pulumirpc.LogSeverity_INFO, Message: message}); err != nil {
		return fmt.Errorf("logging at the engine: %w", err)
	}
	return nil
}
