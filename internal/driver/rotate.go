package driver

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"dbtier/config"
)

// generationSetting is the setting that rotates the password of the application role.
const generationSetting = "role.generation"

// rotation is what `dbtier rotate` found and did.
type rotation struct {
	// Generation is that of the stack's file before the command. Next is the generation that the command has written,
	// or 0.
	Generation int `json:"generation"`
	Next       int `json:"next,omitempty"`
	// Created is the time at which the deployed generation was first deployed; AgeDays is its age in whole days.
	Created string `json:"created,omitempty"`
	AgeDays int    `json:"ageDays"`
	// Waits is true if the file has a generation that is not deployed.
	Waits bool `json:"waits,omitempty"`
}

func (a *app) rotate() *cobra.Command {
	var given string
	var maxAge time.Duration
	do := func(t *task, ctx context.Context) error { return t.runRotate(ctx, maxAge) }
	cmd := a.onStacks(&stackFlags{}, do, &cobra.Command{
		Use:   "rotate --stack <stack> --max-age <age>",
		Short: "Add 1 to the generation of a password that is too old",
		Long: `Adds 1 to role.generation in Pulumi.<stack>.yaml if the password of the application role is older than
--max-age. A pipeline commits the file, and the next up rotates the password. The command changes nothing
else, and needs no access to the cluster. The age comes from the outputs of the stack's last up. While the
file has a generation that is not deployed yet, the command does nothing, so that it can run again at any
time. A stack without a service, or whose pool logs in as the master user, has nothing to rotate.

Exit codes: 0 done or nothing to do, 1 the stack has no age yet, 4 the file has faults.`,
		Example: `  dbtier rotate --stack prod --max-age 90d
  dbtier rotate --stacks '*' --max-age 90d --json`,
	}, onSeveral)
	cmd.Flags().StringVar(&given, "max-age", "", "how old the password may be, as days or hours: `90d`, 36h")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		var err error
		if maxAge, err = parseAge(given); err != nil {
			return usage(cmd, "--max-age %q: %w", given, err)
		}
		return nil
	}
	return cmd
}

var ageForm = regexp.MustCompile(`^([1-9]\d{0,5})([dh])$`)

// parseAge reads a number of days or hours.
func parseAge(text string) (time.Duration, error) {
	parts := ageForm.FindStringSubmatch(text)
	if parts == nil {
		return 0, errors.New("want a whole number of days or hours of at most 6 digits, such as 90d or 36h")
	}
	count, err := strconv.Atoi(parts[1])
	if err != nil {
		return 0, fmt.Errorf("want a number: %w", err)
	}
	unit := time.Hour
	if parts[2] == "d" {
		unit = 24 * time.Hour
	}
	if count > int((1<<63-1)/int64(unit)) {
		return 0, errors.New("is longer than 292 years: want less")
	}
	return time.Duration(count) * unit, nil
}

func (t *task) runRotate(ctx context.Context, maxAge time.Duration) error {
	// The config refers to stacks that are not read, so only a fault of the file stops here.
	stack, err := t.stack.Config()
	if err != nil {
		return coded(exitConfig, err)
	}
	if !stack.HoldsService() || stack.Role.PoolUser == config.MasterUser {
		t.say("stack %s: nothing to rotate: it has no application role", t.stack.Name)
		return nil
	}
	outputs, err := t.readOutputs(ctx)
	if err != nil {
		return err
	}
	if len(outputs) == 0 {
		t.say("stack %s: nothing to rotate: it has no outputs, because it was never up, was destroyed, or has its "+
			"state in another backend", t.stack.Name)
		return nil
	}
	deployed, known := outputs[config.OutputRoleGeneration].(float64)
	created, _ := outputs[config.OutputRoleGenerationCreated].(string)
	at, err := time.Parse(time.RFC3339, created)
	if !known || err != nil {
		return fmt.Errorf("stack %s: the outputs %s (%v) and %s (%q) do not tell the age of the password: run "+
			"`dbtier up --stack %s` once with this version of dbtier", t.stack.Name, config.OutputRoleGeneration,
			outputs[config.OutputRoleGeneration], config.OutputRoleGenerationCreated, created, t.stack.Name)
	}
	recoveries, _ := outputs[config.OutputRecoveries].(float64)
	age := time.Since(at)
	r := &rotation{
		// Recoveries of the file are part of the config's generation, those of the state are part of the deployed one.
		Generation: stack.Role.Generation - stack.Secrets.Recoveries, Created: created, AgeDays: int(age.Hours() / 24),
	}
	t.report.Rotation = r
	if running := int(deployed) - int(recoveries); running != r.Generation {
		r.Waits = true
		t.say("stack %s: %s is %d in %s and %d in the stack: deploy it with `dbtier up --stack %s`", t.stack.Name,
			generationSetting, r.Generation, t.stack.Values.File, running, t.stack.Name)
		return nil
	}
	if age <= maxAge {
		t.say("stack %s: nothing to rotate: generation %d is %s old", t.stack.Name, r.Generation, inDays(age))
		return nil
	}
	next := r.Generation + 1
	if err := t.changeSettings([]string{generationSetting + "=" + strconv.Itoa(next)}, true); err != nil {
		return err
	}
	r.Next = next
	t.say("stack %s: generation %d is %s old: commit %s, and the next up rotates the password", t.stack.Name,
		r.Generation, inDays(age), t.stack.Values.File)
	return nil
}

// inDays writes an age of at least two days in days, and a shorter one in hours.
func inDays(age time.Duration) string {
	const day = 24 * time.Hour
	if age < 2*day {
		return fmt.Sprintf("%d h", int(age.Hours()))
	}
	return fmt.Sprintf("%d days", int(age/day))
}
