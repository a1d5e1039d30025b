package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"dbtier/config"
)

// lazyAWS is awsCLI that looks for the CLI when it is first needed.
func (t *task) lazyAWS(region string) func(ctx context.Context, args ...string) (string, error) {
	var run func(ctx context.Context, args ...string) (string, error)
	return func(ctx context.Context, args ...string) (string, error) {
		if run == nil {
			var err error
			if run, err = t.awsCLI(ctx, region); err != nil {
				return "", err
			}
		}
		return run(ctx, args...)
	}
}

// awsCLI returns a function that runs the AWS CLI: against the stand-in for a local stack.
func (t *task) awsCLI(
	ctx context.Context, region string,
) (run func(ctx context.Context, args ...string) (string, error), err error) {
	path, err := exec.LookPath("aws")
	if err != nil {
		return nil, errNoAWS
	}
	var first []string
	env := append(os.Environ(), "AWS_PAGER=", "AWS_REGION="+region, "AWS_DEFAULT_REGION="+region)
	if t.stack.Cloud == config.Local {
		cloud, err := t.cloud(t.project)
		if err != nil {
			return nil, err
		}
		state, err := cloud.Ready(ctx)
		if err != nil {
			return nil, err
		}
		set, err := standIn(cloud)
		if err != nil {
			return nil, err
		}
		first, env = []string{"--endpoint-url", state.AWSEndpoint}, merged(os.Environ(), set, "AWS_")
	}
	return func(ctx context.Context, args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, path, append(append([]string{}, first...), args...)...)
		cmd.Env, cmd.WaitDelay = env, 5*time.Second
		printed, err := cmd.Output()
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			return "", fmt.Errorf("aws %s %s: %s", args[0], args[1], strings.TrimSpace(string(exit.Stderr)))
		}
		return string(printed), err
	}, nil
}
