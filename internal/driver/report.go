package driver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"dbtier/config"
	drillreport "dbtier/internal/drill/report"
	"dbtier/internal/engine"
	"dbtier/internal/guard"
	"dbtier/internal/pending"
	"dbtier/internal/progress"
	"dbtier/internal/statelock"
	"dbtier/internal/verify"
	"dbtier/policy/rule"
	"dbtier/policy/state"
)

// schema names the format of every --json answer. Fields may be added; removing one or changing its meaning needs a new
// number.
const schema = "dbtier/v1"

// report is the answer of a command to --json. docs/driver.md describes each field; a test compares the two.
type report struct {
	Schema   string  `json:"schema"`
	Command  string  `json:"command"`
	Stack    string  `json:"stack,omitempty"`
	OK       bool    `json:"ok"`
	ExitCode int     `json:"exitCode"`
	Seconds  float64 `json:"seconds"`
	// Faults are the reasons why the command failed. Notes name what the command repaired by itself.
	Faults   []string `json:"faults,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	Notes    []string `json:"notes,omitempty"`
	// Holder is the other update in a conflict.
	Holder string `json:"holder,omitempty"`
	// Skipped is true for a stack that was left out because a stack that it refers to failed.
	Skipped bool `json:"skipped,omitempty"`

	Offline   bool                   `json:"offline,omitempty"`
	Changed   *bool                  `json:"changed,omitempty"`
	Changes   map[apitype.OpType]int `json:"changes,omitempty"`
	Resources []progress.Step        `json:"resources,omitempty"`
	DataLoss  []guard.Loss           `json:"dataLoss,omitempty"`
	Obstacles []guard.Obstacle       `json:"obstacles,omitempty"`
	Conflicts []guard.Conflict       `json:"conflicts,omitempty"`
	Additions []guard.Addition       `json:"additions,omitempty"`
	Kept      []guard.Kept           `json:"kept,omitempty"`
	Pending   []pending.Change       `json:"pending,omitempty"`
	// Healed is true if an update has repaired the drift that was found.
	Healed bool `json:"healed,omitempty"`
	// LostPasswords are the generated passwords that do not work any more.
	LostPasswords []verify.LostPassword `json:"lostPasswords,omitempty"`
	Policies      []progress.Finding    `json:"policies,omitempty"`
	Connections   *connections          `json:"connections,omitempty"`
	Plan          string                `json:"plan,omitempty"`

	// Rotation is what rotate found and did.
	Rotation *rotation `json:"rotation,omitempty"`

	Outputs    map[string]any      `json:"outputs,omitempty"`
	Checks     []verify.Check      `json:"checks,omitempty"`
	Rounds     []round             `json:"rounds,omitempty"`
	Drill      *drillreport.Report `json:"drill,omitempty"`
	History    []engine.Update     `json:"history,omitempty"`
	Locks      []string            `json:"locks,omitempty"`
	Deployment json.RawMessage     `json:"deployment,omitempty"`
	Backup     string              `json:"backup,omitempty"`
	Text       string              `json:"text,omitempty"`
	Findings   []finding           `json:"findings,omitempty"`
	LocalCloud json.RawMessage     `json:"localCloud,omitempty"`
	Policy     json.RawMessage     `json:"policy,omitempty"`
	Versions   map[string]string   `json:"versions,omitempty"`
	Rules      []described         `json:"rules,omitempty"`
	Judgement  *state.Report       `json:"judgement,omitempty"`

	// Selection says which of several stacks have changed.
	Selection *selection `json:"selection,omitempty"`
	// Stacks are the reports of each of several stacks.
	Stacks []*report `json:"stacks,omitempty"`

	started time.Time
	// steps are all steps with their states, for the summary. planning is true if nothing was changed.
	steps    []progress.Step
	planning bool
	// rules are those that the run checked, for the files of findings.
	rules []*rule.Rule
	// clean removes the secrets of the environment from a text.
	clean func(string) string
}

// connections are the database connections of the tier.
type connections struct {
	// Planned is the maximum that the tier opens.
	Planned int `json:"planned"`
	// Was is Planned before the run, if the run changed it or would change it.
	Was int `json:"was,omitempty"`
	// Limit is the maximum that the tier may open; 0 if the instance class is not known.
	Limit int `json:"limit"`
	// Plan explains Planned: one line for each holder of connections.
	Plan []string `json:"plan,omitempty"`
	// Changed is true if the run changed the plan, or would change it.
	Changed bool `json:"changed,omitempty"`
}

func (a *app) newReport(command, stack string) *report {
	return &report{Schema: schema, Command: command, Stack: stack, started: time.Now(), clean: a.secrets.Clean}
}

// take copies the result of a run or a preview. A run that did not begin has no result.
func (r *report) take(result *progress.Result, planning bool) {
	if result.Changes == nil {
		return
	}
	changed := result.Changed()
	r.Changed, r.Changes, r.planning, r.steps = &changed, result.Changes, planning, result.Steps
	r.Policies, r.Warnings = result.Findings, result.Warnings
	r.Connections = connectionsOf(result.Outputs)
	if before := connectionsOf(result.Before); r.Connections != nil {
		r.Connections.Changed = before == nil || !reflect.DeepEqual(before, r.Connections)
		if before != nil && before.Planned != r.Connections.Planned {
			r.Connections.Was = before.Planned
		}
	}
	r.Resources = nil
	for _, step := range result.Steps {
		if planning {
			step.Inputs = progress.Visible(step.Inputs)
		} else {
			step.Inputs = nil
		}
		if step.Op != apitype.OpSame {
			step.Values = step.Changes(r.clean)
		}
		if planning || step.Op != apitype.OpSame {
			r.Resources = append(r.Resources, step)
		}
	}
	slices.SortStableFunc(r.Resources, func(a, b progress.Step) int { return strings.Compare(a.URN, b.URN) })
}

func connectionsOf(outputs map[string]any) *connections {
	planned, ok := outputs[config.OutputConnectionsPlanned].(float64)
	if !ok {
		return nil
	}
	limit, _ := outputs[config.OutputConnectionsLimit].(float64)
	c := &connections{Planned: int(planned), Limit: int(limit)}
	lines, _ := outputs[config.OutputConnectionPlan].([]any)
	for _, line := range lines {
		c.Plan = append(c.Plan, fmt.Sprint(line))
	}
	return c
}

// end records how the command ended.
func (r *report) end(ctx context.Context, err error) {
	r.ExitCode = exitCode(ctx, err)
	r.OK = r.ExitCode == exitDone || r.ExitCode == exitPending
	r.Seconds = float64(time.Since(r.started).Milliseconds()) / 1000
	r.Faults = faults(ctx, err)
	var held *statelock.HeldError
	if errors.As(err, &held) {
		r.Holder = held.Holder
	}
}

// String is the plan for people.
func (c *connections) String() string {
	text := fmt.Sprintf("connections to the database: at most %d", c.Planned)
	if c.Was > 0 {
		text += fmt.Sprintf(" (was %d)", c.Was)
	}
	if c.Limit > 0 {
		text += fmt.Sprintf(" of the allowed %d", c.Limit)
	}
	return strings.Join(append([]string{text}, c.Plan...), "\n    ")
}

// encode prints the answer.
func (a *app) encode(r *report) error {
	answer, err := a.document(r)
	if err != nil {
		return err
	}
	_, err = a.exact.Write(answer)
	return err
}

// document is a report in JSON without secrets. A state that is exported stays as it is, because it must fit for an
// import.
func (a *app) document(r *report) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(r); err != nil {
		return nil, err
	}
	if r.Deployment != nil {
		return text.Bytes(), nil
	}
	return a.secrets.JSON(text.Bytes()), nil
}
