package irsarole_test

import (
	"fmt"
	"math/rand"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/quick"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
	"dbtier/components/irsarole"
	"dbtier/components/permission"
)

const (
	roleType   = "aws:iam/role:Role"
	policyType = "aws:iam/rolePolicy:RolePolicy"
	issuer     = "oidc.eks.ap-northeast-2.amazonaws.com/id/EXAMPLED539D4633E53DE1B716D3041E"
	clusterArn = "arn:aws:eks:ap-northeast-2:111122223333:cluster/prod"
)

func secretPermissions(secret pulumi.StringInput) []permission.Permission {
	return []permission.Permission{
		permission.ReadSecrets{Arns: []pulumi.StringInput{secret}},
		permission.UseKeys{Arns: []pulumi.StringInput{pulumi.String(componenttest.KeyArn)}, Via: "secretsmanager"},
	}
}

func arguments() *irsarole.IrsaRoleArgs {
	return &irsarole.IrsaRoleArgs{
		Name:            "myshop-prod-secrets",
		Description:     "Secrets of myshop",
		OIDCProviderArn: "arn:aws:iam::111122223333:oidc-provider/" + issuer,
		Region:          componenttest.Region,
		ServiceAccounts: []irsarole.ServiceAccount{{Namespace: "myshop", Name: "myshop-secrets"}},
		Permissions:     secretPermissions(pulumi.String(componenttest.SecretArn)),
	}
}

func podIdentity() *irsarole.IrsaRoleArgs {
	args := arguments()
	args.Binding, args.OIDCProviderArn, args.ClusterArn = irsarole.PodIdentity, "", clusterArn
	args.ServiceAccounts = append(args.ServiceAccounts, irsarole.ServiceAccount{Namespace: "jobs", Name: "worker"})
	args.Tags = map[string]string{"service": "myshop"}
	return args
}

func create(args *irsarole.IrsaRoleArgs, opts ...pulumi.ResourceOption) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		role, err := irsarole.NewIrsaRole(ctx, "secrets", args, opts...)
		if err != nil {
			return err
		}
		ctx.Export("arn", role.Arn)
		return nil
	}
}

func TestOneServiceAccountMayTakeTheRole(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments()))
	role := recorded.One(t, roleType)
	assert.JSONEq(t, `{"Version": "2012-10-17", "Statement": [{
		"Effect": "Allow",
		"Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/`+issuer+`"},
		"Action": ["sts:AssumeRoleWithWebIdentity"],
		"Condition": {"StringEquals": {
			"`+issuer+`:aud": "sts.amazonaws.com",
			"`+issuer+`:sub": "system:serviceaccount:myshop:myshop-secrets"}}}]}`, role.Inputs["assumeRolePolicy"].(string))
	assert.Equal(t, "arn:aws:iam::111122223333:role/myshop-prod-secrets", recorded.Outputs["arn"])
	assert.EqualValues(t, 3600, role.Inputs["maxSessionDuration"])
	assert.NotContains(t, role.Inputs, "path")
	assert.NotContains(t, role.Inputs, "permissionsBoundary")
	assert.Empty(t, recorded.All(irsarole.AssociationType))
}

func TestSeveralServiceAccountsAreNamedExactly(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.Path = "/services/"
	args.ServiceAccounts = append(args.ServiceAccounts, irsarole.ServiceAccount{Namespace: "jobs", Name: "worker"})
	role := componenttest.Run(t, create(args)).One(t, roleType)
	assert.Contains(t, role.Inputs["assumeRolePolicy"],
		`"`+issuer+`:sub":["system:serviceaccount:myshop:myshop-secrets","system:serviceaccount:jobs:worker"]`)
	assert.Equal(t, "/services/", role.Inputs["path"])
}

func TestTheRoleReadsItsSecretAndNothingElse(t *testing.T) {
	t.Parallel()
	policy := componenttest.Run(t, create(arguments())).One(t, policyType)
	assert.JSONEq(t, `{"Version": "2012-10-17", "Statement": [
		{"Sid": "ReadSecrets", "Effect": "Allow",
		 "Action": ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"], "Resource": ["`+componenttest.SecretArn+`"]},
		{"Sid": "DecryptAsSecretsManager", "Effect": "Allow",
		 "Action": ["kms:Decrypt"], "Resource": ["`+componenttest.KeyArn+`"],
		 "Condition": {"StringEquals": {"kms:ViaService": "secretsmanager.ap-northeast-2.amazonaws.com"}}}]}`,
		policy.Inputs["policy"].(string))
	assert.Equal(t, "permissions", policy.Inputs["name"])
}

// A single statement would allow each namespace with each name: jobs/myshop-secrets could take the role as well.
func TestPodIdentityTrustsExactPairsInOneCluster(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(podIdentity()))
	statement := func(namespace, name string) string {
		return `{"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": ["sts:AssumeRole", "sts:TagSession"],
			"Condition": {"StringEquals": {
				"aws:RequestTag/eks-cluster-arn": "` + clusterArn + `",
				"aws:RequestTag/kubernetes-namespace": "` + namespace + `",
				"aws:RequestTag/kubernetes-service-account": "` + name + `"}}}`
	}
	assert.JSONEq(t, `{"Version": "2012-10-17", "Statement": [`+statement("myshop",
		"myshop-secrets")+`,`+statement("jobs", "worker")+`]}`,
		recorded.One(t, roleType).Inputs["assumeRolePolicy"].(string))

	associations := recorded.All(irsarole.AssociationType)
	require.Len(t, associations, 2)
	assert.Equal(t, map[string]any{
		"clusterName": "prod", "namespace": "myshop", "serviceAccount": "myshop-secrets",
		"tags":    map[string]any{"service": "myshop"},
		"roleArn": "arn:aws:iam::111122223333:role/myshop-prod-secrets",
	}, associations[1].Inputs)
	assert.Equal(t, "worker", associations[0].Inputs["serviceAccount"])
	for _, association := range associations {
		assert.Equal(t, irsarole.Type+"::secrets", componenttest.ParentOf(association))
		assert.True(t, recorded.Follows(association, recorded.One(t, roleType)))
	}
}

func TestTheArnIsKnownWhenTheRoleCanBeUsed(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, func(ctx *pulumi.Context) error {
		role, err := irsarole.NewIrsaRole(ctx, "secrets", podIdentity())
		if err != nil {
			return err
		}
		other := podIdentity()
		other.Name, other.ServiceAccounts = "other", other.ServiceAccounts[:1]
		other.Permissions = []permission.Permission{
			permission.Statement{
				Sid: "Take", Actions: []string{"sts:AssumeRole"},
				Resources: []pulumi.StringInput{role.Arn},
			},
		}
		_, err = irsarole.NewIrsaRole(ctx, "other", other)
		return err
	})
	user := recorded.Named(t, policyType, "other-policy")
	assert.True(t, recorded.Follows(user, recorded.Named(t, policyType, "secrets-policy")))
	assert.True(t, recorded.Follows(user, recorded.Named(t, irsarole.AssociationType, "secrets-jobs.worker")))
}

func TestSecretAndDependentInputsStayWhatTheyAre(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, func(ctx *pulumi.Context) error {
		args := arguments()
		args.Permissions = secretPermissions(pulumi.ToSecret(
			pulumi.String(componenttest.SecretArn),
		).(pulumi.StringOutput))
		_, err := irsarole.NewIrsaRole(ctx, "secrets", args)
		return err
	})
	policy := recorded.One(t, policyType)
	assert.Equal(t, []string{"policy"}, policy.Secrets)
	assert.True(t, recorded.Follows(policy, recorded.One(t, roleType)))
}

func TestOptionsOfTheComponentStayWithIt(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.PermissionsBoundaryArn = "arn:aws:iam::111122223333:policy/boundary"
	recorded := componenttest.Run(t, create(args, pulumi.IgnoreChanges([]string{"tags"})))
	assert.Equal(t, []string{"tags"}, recorded.One(t, irsarole.Type).IgnoreChanges)
	role := recorded.One(t, roleType)
	assert.Empty(t, role.IgnoreChanges)
	assert.Equal(t, irsarole.Type+"::secrets", componenttest.ParentOf(role))
	assert.Equal(t, args.PermissionsBoundaryArn, role.Inputs["permissionsBoundary"])
}

func TestTheArgumentsStayTheCallers(t *testing.T) {
	t.Parallel()
	args := arguments()
	componenttest.Run(t, create(args))
	assert.Empty(t, args.Audience)
	assert.Empty(t, args.Binding)
}

func TestEveryFaultIsReported(t *testing.T) {
	t.Parallel()
	account := func(namespace, name string) []irsarole.ServiceAccount {
		return []irsarole.ServiceAccount{{Namespace: namespace, Name: name}}
	}
	for name, c := range map[string]struct {
		change func(*irsarole.IrsaRoleArgs)
		fault  string
	}{
		"name": {func(a *irsarole.IrsaRoleArgs) { a.Name = "a b" }, `name: "a b": want`},
		"description": {
			func(a *irsarole.IrsaRoleArgs) { a.Description = strings.Repeat("x", 1001) },
			`want at most 1000 characters`,
		},
		"path": {
			func(a *irsarole.IrsaRoleArgs) { a.Path = "services" },
			`path: "services": want a path that begins and ends with /`,
		},
		"binding": {
			func(a *irsarole.IrsaRoleArgs) { a.Binding = "kiam" },
			`binding: "kiam": want one of irsa, podIdentity`,
		},
		"issuer's URL": {
			func(a *irsarole.IrsaRoleArgs) { a.OIDCProviderArn = "https://oidc/1" },
			`oidcProviderArn: "https://oidc/1": is the issuer's URL`,
		},
		"no provider": {
			func(a *irsarole.IrsaRoleArgs) { a.OIDCProviderArn = "" },
			`oidcProviderArn: "": want the ARN`,
		},
		"a cluster": {
			func(a *irsarole.IrsaRoleArgs) { a.ClusterArn = clusterArn },
			`clusterArn: "` + clusterArn + `": is for the binding podIdentity`,
		},
		"no cluster": {func(a *irsarole.IrsaRoleArgs) {
			a.Binding, a.OIDCProviderArn = irsarole.PodIdentity, ""
		}, `clusterArn: "": want the ARN of the cluster`},
		"both": {func(a *irsarole.IrsaRoleArgs) {
			a.Binding, a.ClusterArn = irsarole.PodIdentity,
				clusterArn
		}, `is for the binding irsa; leave it out`},
		"region": {func(a *irsarole.IrsaRoleArgs) { a.Region = "" }, `region: "": want`},
		"no account": {
			func(a *irsarole.IrsaRoleArgs) { a.ServiceAccounts = nil },
			`serviceAccounts: is missing: without one no pod can take the role`,
		},
		"any namespace": {
			func(a *irsarole.IrsaRoleArgs) { a.ServiceAccounts = account("*", "a") },
			`serviceAccounts[0].namespace: "*": want`,
		},
		"any account": {
			func(a *irsarole.IrsaRoleArgs) { a.ServiceAccounts = account("a", "my*") },
			`serviceAccounts[0].name: "my*": want`,
		},
		"twice": {func(a *irsarole.IrsaRoleArgs) {
			a.ServiceAccounts = append(account("a", "b"), account("a", "b")...)
		}, `serviceAccounts[1]: "a/b": is named twice`},
		"any audience":  {func(a *irsarole.IrsaRoleArgs) { a.Audience = "*" }, `audience: "*": want one audience`},
		"nothing to do": {func(a *irsarole.IrsaRoleArgs) { a.Permissions = nil }, `permissions: is missing`},
		"a permission": {
			func(a *irsarole.IrsaRoleArgs) { a.Permissions[0] = permission.ReadSecrets{} },
			`permissions[0].arns: is missing`,
		},
		"the policy's name": {func(a *irsarole.IrsaRoleArgs) { a.PolicyName = "a/b" }, `policyName: "a/b": want`},
		"boundary": {
			func(a *irsarole.IrsaRoleArgs) { a.PermissionsBoundaryArn = "b" },
			`permissionsBoundaryArn: "b": want`,
		},
		"session too long": {
			func(a *irsarole.IrsaRoleArgs) { a.MaxSessionDuration = 60 },
			`maxSessionDuration: 60: want 3600 to 43200 seconds`,
		},
		"too many": {func(a *irsarole.IrsaRoleArgs) {
			for i := range 30 {
				a.ServiceAccounts = append(a.ServiceAccounts, account("a", fmt.Sprintf("%050d", i))...)
			}
		}, `but IAM accepts 2048; create several roles`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := arguments()
			c.change(args)
			recorded, err := componenttest.Try(create(args))
			require.ErrorContains(t, err, "IrsaRole secrets: ")
			require.ErrorContains(t, err, c.fault)
			assert.Empty(t, recorded.Each(), "nothing is created")
		})
	}
	_, err := componenttest.Try(create(nil))
	require.ErrorContains(t, err, "no arguments given")
	_, err = componenttest.Try(create(&irsarole.IrsaRoleArgs{}))
	require.ErrorContains(t, err, "name: ")
	require.ErrorContains(t, err, "permissions: is missing", "all faults come together")
}

// accounts are valid ServiceAccounts, some with long names.
type accounts []irsarole.ServiceAccount

func (accounts) Generate(random *rand.Rand, _ int) reflect.Value {
	label := func() string {
		const letters = "abcdefghijklmnopqrstuvwxyz0123456789---"
		name := make([]byte, 1+random.Intn(63))
		for i := range name {
			name[i] = letters[random.Intn(len(letters))]
		}
		name[0], name[len(name)-1] = 'a', 'z'
		return string(name)
	}
	var out accounts
	for range 1 + random.Intn(5) {
		out = append(out, irsarole.ServiceAccount{Namespace: label(), Name: label()})
	}
	return reflect.ValueOf(out)
}

// All valid arguments give names and documents that AWS accepts.
func TestNamesAndDocumentsKeepAWSsLimits(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile(`^[\w+=,.@-]{1,64}$`)
	keeps := func(who accounts, byPodIdentity bool) bool {
		args := arguments()
		if byPodIdentity {
			args = podIdentity()
		}
		args.ServiceAccounts = who
		recorded, err := componenttest.Try(create(args))
		if err != nil {
			return assert.ErrorContains(t, err, "need a trust policy of") && assert.Empty(t, recorded.Each())
		}
		role := recorded.One(t, roleType)
		good := assert.Regexp(t, name, role.Inputs["name"]) &&
			assert.LessOrEqual(t, len(role.Inputs["assumeRolePolicy"].(string)), 2048)
		good = assert.NotContains(t, role.Inputs["assumeRolePolicy"], "*") && good
		seen := map[string]bool{}
		for _, association := range recorded.All(irsarole.AssociationType) {
			seen[association.Name] = true
		}
		return good && (!byPodIdentity || assert.Len(t, seen, len(who), "each association has a different name"))
	}
	require.NoError(t, quick.Check(keeps, &quick.Config{MaxCount: 60}))
}
