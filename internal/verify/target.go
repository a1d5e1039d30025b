package verify

import (
	"fmt"
	"strings"

	"dbtier/config"
)

// FromOutputs reads the names of the tier's parts from the stack's outputs.
func FromOutputs(stack string, outputs map[string]any) (Target, error) {
	if len(outputs) == 0 {
		return Target{}, fmt.Errorf("stack %s has no outputs: bring it up first with `dbtier up --stack %s`", stack,
			stack)
	}
	if _, service := outputs[config.OutputNamespace]; !service {
		if operator, ok := outputs[config.OutputOperatorNamespace].(string); ok {
			return Target{Stack: stack, Kubectl: "kubectl", OperatorNamespace: operator}, nil
		}
	}
	var missing []string
	text := func(name string) string {
		value, ok := outputs[name].(string)
		if !ok || value == "" {
			missing = append(missing, name)
		}
		return value
	}
	proxied := outputs[config.OutputPoolKind] == string(config.RDSProxy)
	ofPool := func(name string) string {
		if proxied {
			return ""
		}
		return text(name)
	}
	t := Target{
		Stack:                   stack,
		Kubectl:                 "kubectl",
		Namespace:               text(config.OutputNamespace),
		Deployment:              text(config.OutputDeployment),
		Container:               text(config.OutputContainer),
		Secret:                  text(config.OutputDatabaseSecret),
		Pool:                    ofPool(config.OutputPool),
		PoolContainer:           ofPool(config.OutputPoolContainer),
		PoolSocketDir:           ofPool(config.OutputPoolSocketDir),
		Role:                    text(config.OutputSecretsRoleArn),
		ServiceAccount:          text(config.OutputSecretsServiceAccount),
		ServiceAccountNamespace: text(config.OutputSecretsServiceAccountNamespace),
		STS:                     text(config.OutputSTSEndpoint),
		DatabaseHost:            text(config.OutputDatabaseEndpoint),
		DatabasePort:            fmt.Sprint(outputs[config.OutputDatabasePort]),
	}
	// A state of an older program does not have these.
	t.DatabaseUser, _ = outputs[config.OutputDatabaseUser].(string)
	t.Credential, _ = outputs[config.OutputDatabaseCredential].(string)
	t.Login, _ = outputs[config.OutputPoolLogin].(string)
	t.Bootstrap, _ = outputs[config.OutputBootstrapJob].(string)
	t.SessionDatabase, _ = outputs[config.OutputPoolSessionDatabase].(string)
	if proxied {
		t.Proxy = text(config.OutputProxy)
		_, t.Tokens = outputs[config.OutputDatabaseIAMUser]
	}
	names, ok := outputs[config.OutputExternalSecrets].([]any)
	if !ok || len(names) == 0 {
		missing = append(missing, config.OutputExternalSecrets)
	}
	for _, name := range names {
		if text, ok := name.(string); ok {
			t.ExternalSecrets = append(t.ExternalSecrets, text)
		}
	}
	if len(missing) > 0 {
		return Target{}, fmt.Errorf("stack %s lacks the outputs %s: bring it up again with `dbtier up --stack %s`",
			stack, strings.Join(missing, ", "), stack)
	}
	return t, nil
}
