package config

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Load reads the config of the stack that is being run. The project is the folder of the stack's file. See [Parse].
func Load(ctx *pulumi.Context, project string) (*Stack, error) {
	// Pulumi lets a program ask for a key but does not list the keys, so unknown keys are found in the file.
	values, err := ReadFile(filepath.Join(project, fmt.Sprintf("Pulumi.%s.yaml", ctx.Stack())))
	if err != nil {
		return nil, err
	}
	for key := range sections() {
		full := Namespace + ":" + key
		if text, found := ctx.GetConfig(full); found {
			// An offline preview has a placeholder in the place of an encrypted value, which the engine does not mark.
			secret := values.Keys[key].Secret || ctx.IsConfigSecret(full)
			values.Keys[key] = Value{Text: text, Secret: secret}
		} else {
			// The engine decides: a key that it does not have is not set, whatever the file says.
			delete(values.Keys, key)
		}
	}
	for _, key := range values.Unused {
		if err := ctx.Log.Warn(values.unusedKey(key), nil); err != nil {
			return nil, fmt.Errorf("warning of config that nothing reads: %w", err)
		}
	}
	return Parse(values, outputsOf(ctx))
}

// valueOf is a value of the file as Pulumi passes it to a program.
func valueOf(value any) (Value, error) {
	if text, ok := value.(string); ok {
		return Value{Text: text}, nil
	}
	text, err := json.Marshal(value)
	return Value{Text: string(text), Secret: encrypted(value)}, err
}

// encrypted is true if a value or a part of it has the form that `pulumi config set --secret` writes.
func encrypted(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		if _, ok := value["secure"].(string); ok && len(value) == 1 {
			return true
		}
		for _, part := range value {
			if encrypted(part) {
				return true
			}
		}
	case []any:
		for _, part := range value {
			if encrypted(part) {
				return true
			}
		}
	}
	return false
}

// readStackOutputs is the engine's function behind stack references. Unlike the resource StackReference it answers at
// once, and a stack that cannot be read is an error instead of the end of the run.
const readStackOutputs = "pulumi:pulumi:readStackOutputs"

// outputsOf reads stacks of the backend that holds the run's own state.
func outputsOf(ctx *pulumi.Context) OutputsOf {
	return func(stack string) (Outputs, error) {
		var answer struct {
			Outputs           map[string]any `pulumi:"outputs"`
			SecretOutputNames []string       `pulumi:"secretOutputNames"`
		}
		_, err := ctx.InvokePackageRaw(readStackOutputs, map[string]any{"name": stack}, &answer, "")
		return Outputs{answer.Outputs, answer.SecretOutputNames}, err
	}
}
