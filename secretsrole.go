package main

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/irsarole"
	"dbtier/components/permission"
)

// addSecretsRole creates the role with which the operator reads this service's secrets, and no other service's.
func (t *tier) addSecretsRole() error {
	// The role's policy names the secrets that the pool needs, so they come first.
	pushed, err := t.pool.addManagerSecrets()
	if err != nil {
		return err
	}
	t.secretsRole, err = irsarole.NewIrsaRole(t.ctx, "secrets-role", &irsarole.IrsaRoleArgs{
		Name: t.stack.RoleName("secrets"),
		Description: fmt.Sprintf("Reads the secrets of %s in %s, as its ServiceAccount", t.stack.Service.Name,
			t.stack.Environment),
		OIDCProviderArn: t.stack.Cluster.OIDCProviderArn,
		Region:          t.stack.AWS.Region,
		ServiceAccounts: []irsarole.ServiceAccount{{
			Namespace: t.stack.Service.Namespace, Name: t.stack.SecretsServiceAccount(),
		}},
		PolicyName:             "read-secrets",
		PermissionsBoundaryArn: t.stack.AWS.PermissionsBoundaryArn,
		Permissions:            t.secretPermissions(pushed),
		Tags:                   t.stack.Tags(),
	}, t.providers)
	return err
}

// secretPermissions are what the operator may do for this service: read its secrets, and write those that it pushes.
func (t *tier) secretPermissions(pushed []pulumi.StringInput) []permission.Permission {
	const via = "secretsmanager"
	database := []pulumi.StringInput{t.database.KmsKeyArn}
	secrets := []pulumi.StringInput{t.database.MasterSecretArn}
	var keys []pulumi.StringInput
	add := func(secret, key string) {
		if secret == "" {
			return
		}
		secrets = append(secrets, pulumi.String(secret))
		if key != "" {
			keys = append(keys, pulumi.String(key))
		}
	}
	for i := range t.stack.Pool.Logins {
		add(t.stack.Pool.Logins[i].CredentialArn, t.stack.Pool.Logins[i].KmsKeyArn)
	}
	for i := range t.stack.Secrets.Further {
		add(t.stack.Secrets.Further[i].Arn, t.stack.Secrets.Further[i].KmsKeyArn)
	}
	read := permission.ReadSecrets{Arns: secrets}
	if len(pushed) == 0 {
		return []permission.Permission{read, permission.UseKeys{Arns: append(database, keys...), Via: via}}
	}
	permissions := []permission.Permission{
		read, permission.PushSecrets{Arns: pushed}, permission.UseKeys{Arns: database, Via: via, Encrypt: true},
	}
	if len(keys) > 0 {
		permissions = append(permissions, permission.UseKeys{Arns: keys, Via: via})
	}
	return permissions
}
