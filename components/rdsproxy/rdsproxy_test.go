package rdsproxy_test

import (
	"errors"
	"math/rand"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/quick"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/amazontrust"
	"dbtier/components/componenttest"
	"dbtier/components/contract"
	"dbtier/components/eso"
	"dbtier/components/rdsproxy"
	"dbtier/validation"
)

const (
	proxyType   = "aws:rds/proxy:Proxy"
	groupType   = "aws:rds/proxyDefaultTargetGroup:ProxyDefaultTargetGroup"
	targetType  = "aws:rds/proxyTarget:ProxyTarget"
	secretType  = "aws:secretsmanager/secret:Secret"
	roleType    = "aws:iam/role:Role"
	policyType  = "aws:iam/rolePolicy:RolePolicy"
	networkType = "aws:ec2/securityGroup:SecurityGroup"
	logType     = "aws:cloudwatch/logGroup:LogGroup"
	pushType    = "kubernetes:external-secrets.io/v1alpha1:PushSecret"
	pullType    = "kubernetes:external-secrets.io/v1:ExternalSecret"
	mapType     = "kubernetes:core/v1:ConfigMap"
	userSecret  = "arn:aws:secretsmanager:ap-northeast-2:111122223333:secret:myshop-prod/proxy/myshop_app_a-AbCdEf"
	otherSecret = "arn:aws:secretsmanager:ap-northeast-2:111122223333:secret:myshop-prod/proxy/myshop_app_b-GhIjKl"
)

func arguments() *rdsproxy.RdsProxyArgs {
	settings := rdsproxy.Defaults()
	settings.Name = "myshop-prod-proxy"
	return &rdsproxy.RdsProxyArgs{
		Settings: settings, Service: "myshop-api", Namespace: "myshop", Region: componenttest.Region,
		AccountID: componenttest.Account,
		VpcID:     pulumi.String("vpc-1"), SubnetIDs: pulumi.ToStringArray([]string{"subnet-1", "subnet-2"}),
		Clients:            []rdsproxy.Client{{Name: "EKS nodes", SecurityGroupID: pulumi.String("sg-nodes")}},
		DatabaseIdentifier: pulumi.String("myshop-prod"), DatabaseName: "myshop", DatabasePort: 5433,
		DatabaseSecurityGroupID: pulumi.String("sg-database"), DatabaseClientGroupID: pulumi.String("sg-clients"),
		Users: []rdsproxy.User{
			{
				Name: "myshop_app_a", SecretArn: pulumi.String(userSecret),
				KmsKeyArn: pulumi.String(componenttest.KeyArn),
			},
			{
				Name: "myshop_app_b", SecretArn: pulumi.String(otherSecret),
				KmsKeyArn: pulumi.String(componenttest.KeyArn),
			},
		},
		Store:            eso.StoreRef{Kind: "ClusterSecretStore", Name: pulumi.String("myshop-prod")},
		CredentialSecret: pulumi.String("database-database-1"),
		Tags:             map[string]string{"service": "myshop"},
	}
}

func create(args *rdsproxy.RdsProxyArgs, opts ...pulumi.ResourceOption) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		proxy, err := rdsproxy.NewRdsProxy(ctx, "proxy", args, opts...)
		if err != nil {
			return err
		}
		ctx.Export("host", proxy.Host)
		ctx.Export("port", proxy.Port)
		ctx.Export("secret", proxy.ConsumerSecretName)
		ctx.Export("resourceId", proxy.ResourceID)
		return nil
	}
}

func TestTheProxyTakesItsUsersByTLSOnly(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments()))
	proxy := recorded.One(t, proxyType)
	user := func(name, secret string) map[string]any {
		return map[string]any{
			"authScheme": "SECRETS", "clientPasswordAuthType": "POSTGRES_SCRAM_SHA_256", "iamAuth": "DISABLED",
			"description": name, "secretArn": secret,
		}
	}
	assert.Equal(t, map[string]any{
		"name": "myshop-prod-proxy", "engineFamily": "POSTGRESQL", "requireTls": true, "idleClientTimeout": 1800.0,
		"debugLogging":        false,
		"roleArn":             "arn:aws:iam::111122223333:role/myshop-prod-proxy-ap-northeast-2-secrets",
		"vpcSubnetIds":        []any{"subnet-1", "subnet-2"},
		"vpcSecurityGroupIds": proxy.Inputs["vpcSecurityGroupIds"],
		"auths":               []any{user("myshop_app_a", userSecret), user("myshop_app_b", otherSecret)},
		"tags":                map[string]any{"service": "myshop"},
	}, proxy.Inputs)
	assert.Equal(t, "sg-clients", proxy.At("vpcSecurityGroupIds", 1), "the instance admits members of this group")
	assert.Equal(t, "myshop-prod-proxy.proxy-c9akciq32rgx.ap-northeast-2.rds.amazonaws.com", recorded.Outputs["host"])
	assert.EqualValues(t, 5432, recorded.Outputs["port"], "regardless of the instance's port")
	assert.Equal(t, componenttest.ProxyID, recorded.Outputs["resourceId"])
}

func TestTheInstanceIsTheTargetWithItsShareOfConnections(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.InitQuery = "SET timezone = 'UTC'; set statement_timeout = '30s'"
	recorded := componenttest.Run(t, create(args))
	assert.Equal(t, map[string]any{
		"dbProxyName": "myshop-prod-proxy",
		"connectionPoolConfig": map[string]any{
			"connectionBorrowTimeout": 30.0, "maxConnectionsPercent": 60.0, "maxIdleConnectionsPercent": 20.0,
			"initQuery": args.InitQuery,
		},
	}, recorded.One(t, groupType).Inputs)
	target := recorded.One(t, targetType)
	assert.Equal(t, map[string]any{
		"dbProxyName": "myshop-prod-proxy", "targetGroupName": "default",
		"dbInstanceIdentifier": "myshop-prod",
	}, target.Inputs)
	assert.True(t, recorded.Follows(target, recorded.One(t, groupType)))
	assert.True(t, recorded.Follows(recorded.One(t, groupType), recorded.One(t, proxyType)))
	without := componenttest.Run(t, create(arguments())).One(t, groupType)
	assert.NotContains(t, without.Inputs["connectionPoolConfig"], "initQuery")
}

func TestTheProxysRoleReadsItsUsersSecretsAndNothingElse(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.PermissionsBoundaryArn = "arn:aws:iam::111122223333:policy/boundary"
	recorded := componenttest.Run(t, create(args))
	role := recorded.One(t, roleType)
	assert.JSONEq(t, `{"Version": "2012-10-17", "Statement": [
		{"Effect": "Allow", "Principal": {"Service": "rds.amazonaws.com"}, "Action": ["sts:AssumeRole"]}]}`, role.Inputs["assumeRolePolicy"].(string))
	assert.Equal(t, args.PermissionsBoundaryArn, role.Inputs["permissionsBoundary"])
	policy := recorded.One(t, policyType)
	assert.JSONEq(t, `{"Version": "2012-10-17", "Statement": [
		{"Sid": "ReadSecrets", "Effect": "Allow", "Action": ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"],
		 "Resource": ["`+userSecret+`", "`+otherSecret+`"]},
		{"Sid": "DecryptAsSecretsManager", "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": ["`+componenttest.KeyArn+`"],
		 "Condition": {"StringEquals": {"kms:ViaService": "secretsmanager.ap-northeast-2.amazonaws.com"}}}]}`, policy.Inputs["policy"].(string))
	assert.True(t, recorded.Follows(recorded.One(t, proxyType), policy), "otherwise the proxy cannot read the secrets at first")
}

func TestOnlyItsClientsReachTheProxyAndTheProxyOnlyTheInstance(t *testing.T) {
	t.Parallel()
	group := componenttest.Run(t, create(arguments())).One(t, networkType)
	rule := func(text string, port float64, group string) []any {
		return []any{map[string]any{
			"description": text, "protocol": "tcp", "fromPort": port, "toPort": port,
			"securityGroups": []any{group},
		}}
	}
	assert.Equal(t, rule("PostgreSQL from EKS nodes", 5432, "sg-nodes"), group.Inputs["ingress"])
	assert.Equal(t, rule("PostgreSQL to the instance", 5433, "sg-database"), group.Inputs["egress"])
	assert.Equal(t, "vpc-1", group.Inputs["vpcId"])
}

func TestTheLogGroupBelongsToTheStackAndHasARetention(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments()))
	log := recorded.One(t, logType)
	assert.Equal(t, "/aws/rds/proxy/myshop-prod-proxy", log.Inputs["name"])
	assert.EqualValues(t, 30, log.Inputs["retentionInDays"])
	assert.True(t, recorded.Follows(recorded.One(t, proxyType), log), "otherwise RDS creates one that is never deleted")
}

// The password goes from the cluster to the secret that the proxy reads. It does not pass through the program.
func TestTheOperatorPushesThePasswordAsTextIntoTheExistingSecret(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments()))
	push := recorded.One(t, pushType)
	assert.Equal(t, map[string]any{
		"refreshInterval": "1h", "updatePolicy": "Replace", "deletionPolicy": "None",
		"secretStoreRefs": []any{map[string]any{"kind": "ClusterSecretStore", "name": "myshop-prod"}},
		"selector":        map[string]any{"secret": map[string]any{"name": "database-database-1"}},
		"data": []any{map[string]any{
			"match": map[string]any{"remoteRef": map[string]any{"remoteKey": userSecret}},
			"metadata": map[string]any{
				"apiVersion": "kubernetes.external-secrets.io/v1alpha1", "kind": "PushSecretMetadata",
				"spec": map[string]any{"secretPushFormat": "string"},
			},
		}},
	}, push.At("spec"))
	assert.Equal(t, "condition=Ready", push.At("metadata", "annotations", "pulumi.com/waitFor"))
	pull := recorded.One(t, pullType)
	assert.True(t, recorded.Follows(pull, push))
	assert.True(t, recorded.Follows(pull, recorded.One(t, proxyType)))
	assert.False(t, recorded.Follows(recorded.One(t, proxyType), push),
		"creating the proxy takes minutes and needs no password")
}

func TestASecretThatRDSFillsIsNotPushed(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.CredentialSecret = nil
	recorded := componenttest.Run(t, create(args))
	assert.Empty(t, recorded.All(pushType))
	assert.Len(t, recorded.All(pullType), 1)
}

func TestTheServicesURLLeadsToTheProxyAndVerifiesIt(t *testing.T) {
	t.Parallel()
	const host = "@myshop-prod-proxy.proxy-c9akciq32rgx.ap-northeast-2.rds.amazonaws.com:5432/myshop?sslmode=verify-full&sslrootcert=/etc/database-ca/ca.pem"
	for auth, login := range map[string]string{
		rdsproxy.IAMDisabled: "{{ .username | urlquery }}:{{ .password | urlquery }}",
		rdsproxy.IAMRequired: "{{ .username | urlquery }}",
	} {
		args := arguments()
		args.IAMAuth = auth
		recorded := componenttest.Run(t, create(args))
		pull := recorded.One(t, pullType)
		assert.Equal(t, map[string]any{
			"name": "myshop-api-db", "creationPolicy": "Owner", "deletionPolicy": "Retain",
			"template": map[string]any{
				"engineVersion": "v2",
				"data":          map[string]any{"DATABASE_URL": "postgresql://" + login + host},
			},
		}, pull.At("spec", "target"))
		assert.Equal(t, userSecret, pull.At("spec", "dataFrom", 0, "extract", "key"), "the first user's secret")
		assert.Equal(t, "myshop-api-db", recorded.Outputs["secret"])
		assert.Equal(t, auth, recorded.One(t, proxyType).At("auths", 1, "iamAuth"))
	}
	authorities := componenttest.Run(t, create(arguments())).One(t, mapType)
	assert.Equal(t, amazontrust.Bundle(), authorities.At("data", contract.CAKey))
	assert.Equal(t, "myshop-api-proxy-ca", authorities.At("metadata", "name"))
}

func TestReadyIsTheTargetAndThePushedPassword(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, func(ctx *pulumi.Context) error {
		proxy, err := rdsproxy.NewRdsProxy(ctx, "proxy", arguments())
		if err != nil {
			return err
		}
		_, err = rdsproxy.NewProxySecrets(ctx, "after", &rdsproxy.ProxySecretsArgs{
			Prefix: "x", Users: []string{"u"}, KmsKeyArn: pulumi.String(componenttest.KeyArn),
		}, pulumi.DependsOn(proxy.Ready))
		return err
	})
	after := recorded.One(t, secretType)
	assert.True(t, recorded.Follows(after, recorded.One(t, targetType)))
	assert.True(t, recorded.Follows(after, recorded.One(t, pushType)))
}

func TestSecretsAreEmptyAndTheOperatorFillsThem(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, func(ctx *pulumi.Context) error {
		secrets, err := rdsproxy.NewProxySecrets(ctx, "proxy-secrets", &rdsproxy.ProxySecretsArgs{
			Prefix: "myshop-prod", Users: []string{"myshop_app_b", "myshop_app_a"},
			KmsKeyArn: pulumi.String(componenttest.KeyArn),
			Tags:      map[string]string{"managed-by": "dbtier", "service": "myshop"},
		}, pulumi.IgnoreChanges([]string{"tags"}))
		if err != nil {
			return err
		}
		ctx.Export("arns", secrets.Arns)
		assert.Equal(t, "myshop_app_b", secrets.Users[0].Name)
		return nil
	})
	secret := recorded.Named(t, secretType, "proxy-secrets-myshop_app_b")
	assert.Equal(t, map[string]any{
		"name": "myshop-prod/proxy/myshop_app_b", "kmsKeyId": componenttest.KeyArn, "recoveryWindowInDays": 0.0,
		"description": "What RDS Proxy logs in with as myshop_app_b; the External Secrets Operator writes it",
		"tags":        map[string]any{"managed-by": "external-secrets", "service": "myshop"},
	}, secret.Inputs)
	assert.Empty(t, secret.IgnoreChanges)
	assert.Equal(t, rdsproxy.SecretsType+"::proxy-secrets", componenttest.ParentOf(secret))
	assert.Len(t, recorded.Outputs["arns"], 2)
	assert.Empty(t, recorded.All("aws:secretsmanager/secretVersion:SecretVersion"))

	for fault, args := range map[string]*rdsproxy.ProxySecretsArgs{
		"no arguments given":                          nil,
		`prefix: "a b": want`:                         {Prefix: "a b"},
		"users: is missing":                           {},
		`users[0]: "a-b": want 1 to 63`:               {Users: []string{"a-b"}},
		`users[1]: "a": is named twice`:               {Users: []string{"a", "a"}},
		"kmsKeyArn: is missing":                       {},
		"RdsProxySecrets s: prefix: \"\": want the i": {},
	} {
		recorded, err := componenttest.Try(func(ctx *pulumi.Context) error {
			_, err := rdsproxy.NewProxySecrets(ctx, "s", args)
			return err
		})
		require.ErrorContains(t, err, fault)
		assert.Empty(t, recorded.Each())
	}
}

func TestSecretAndDependentInputsStayWhatTheyAre(t *testing.T) {
	t.Parallel()
	hidden := func(text string) pulumi.StringOutput {
		return pulumi.ToSecret(pulumi.String(text)).(pulumi.StringOutput)
	}
	recorded := componenttest.Run(t, func(ctx *pulumi.Context) error {
		secrets, err := rdsproxy.NewProxySecrets(ctx, "proxy-secrets", &rdsproxy.ProxySecretsArgs{
			Prefix: "myshop-prod", Users: []string{"u"}, KmsKeyArn: hidden(componenttest.KeyArn),
		})
		if err != nil {
			return err
		}
		args := arguments()
		args.Users = secrets.Users
		args.DatabaseIdentifier, args.CredentialSecret, args.VpcID = hidden("myshop-prod"), hidden("credential"),
			hidden("vpc-1")
		return create(args)(ctx)
	})
	secret := recorded.One(t, secretType)
	assert.Equal(t, []string{"kmsKeyId"}, secret.Secrets)
	policy := recorded.One(t, policyType)
	assert.Equal(t, []string{"policy"}, policy.Secrets, "it contains the key's ARN")
	assert.True(t, recorded.Follows(policy, secret))
	assert.Equal(t, []string{"dbInstanceIdentifier"}, recorded.One(t, targetType).Secrets)
	assert.Equal(t, []string{"vpcId"}, recorded.One(t, networkType).Secrets)
	assert.Equal(t, []string{"spec.selector.secret.name"}, recorded.One(t, pushType).Secrets)
	assert.True(t, recorded.Follows(recorded.One(t, pullType), secret))
}

func TestOptionsOfTheComponentStayWithIt(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments(), pulumi.IgnoreChanges([]string{"tags"})))
	assert.Equal(t, []string{"tags"}, recorded.One(t, rdsproxy.Type).IgnoreChanges)
	for _, resource := range recorded.Each() {
		if resource.Custom {
			assert.Equal(t, rdsproxy.Type+"::proxy", componenttest.ParentOf(resource), resource.URN)
			assert.Empty(t, resource.IgnoreChanges, resource.URN)
		}
	}
}

func TestTheArgumentsStayTheCallers(t *testing.T) {
	t.Parallel()
	args := arguments()
	componenttest.Run(t, create(args))
	assert.Empty(t, args.ConsumerSecret)
	assert.Empty(t, args.Partition)
}

func TestAPreviewNeedsNoEndpoint(t *testing.T) {
	t.Parallel()
	recorded := componenttest.Run(t, create(arguments()), componenttest.Preview())
	assert.Nil(t, recorded.One(t, pullType).At("spec", "target", "template", "data", "DATABASE_URL"))
}

func TestEveryFaultIsReportedBeforeAnythingIsCreated(t *testing.T) {
	t.Parallel()
	_, err := componenttest.Try(create(nil))
	require.ErrorContains(t, err, "RdsProxy proxy: no arguments given")
	_, err = componenttest.Try(func(ctx *pulumi.Context) error {
		_, err := rdsproxy.NewRdsProxy(ctx, "", arguments())
		_, secretsErr := rdsproxy.NewProxySecrets(ctx, "", &rdsproxy.ProxySecretsArgs{
			Prefix: "x", Users: []string{"u"}, KmsKeyArn: pulumi.String(componenttest.KeyArn),
		})
		return errors.Join(err, secretsErr)
	})
	require.ErrorContains(t, err, "RdsProxy : registering it: ", "a resource needs a name")
	require.ErrorContains(t, err, "RdsProxySecrets : registering it: ")
	recorded, err := componenttest.Try(create(&rdsproxy.RdsProxyArgs{}))
	assert.Empty(t, recorded.Each())
	for _, fault := range []string{
		`name: "": want 1 to 63`, `iamAuth: "": want one of DISABLED, REQUIRED`,
		"maxConnectionsPercent: 0: want 1 to 100 percent of max_connections",
		"connectionBorrowTimeout: 0: want 1 to 300 seconds", "idleClientTimeout: 0: want 1 to 28800 seconds",
		"logRetention: 0: want one of",
		`service: ""`, `namespace: ""`, `region: ""`, `accountId: ""`, "vpcId: is missing", "subnetIds: is missing",
		"databaseIdentifier: is missing",
		"databaseSecurityGroupId: is missing", "databaseClientGroupId: is missing", "store.name: is missing",
		`store.kind: "": want one of`,
		`databaseName: ""`, "clients: is missing", "users: 0: want 1 to 200",
	} {
		require.ErrorContains(t, err, fault)
	}
}

func TestFaultsOneByOne(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*rdsproxy.RdsProxyArgs)
		fault  string
	}{
		"two hyphens": {func(a *rdsproxy.RdsProxyArgs) { a.Name = "my--proxy" }, `name: "my--proxy": want`},
		"AWS's own":   {func(a *rdsproxy.RdsProxyArgs) { a.Name = "sg-proxy" }, `not with sg-`},
		"too long":    {func(a *rdsproxy.RdsProxyArgs) { a.Name = strings.Repeat("a", 64) }, `want 1 to 63`},
		"SQL Server's": {
			func(a *rdsproxy.RdsProxyArgs) { a.IAMAuth = "ENABLED" },
			`iamAuth: "ENABLED": want one of DISABLED, REQUIRED`,
		},
		"more idle": {
			func(a *rdsproxy.RdsProxyArgs) { a.MaxIdleConnectionsPercent = 61 },
			"maxIdleConnectionsPercent: 61: want 0 to maxConnectionsPercent (60)",
		},
		"other SQL": {func(a *rdsproxy.RdsProxyArgs) { a.InitQuery = "SET a = 1; DROP TABLE t" }, "initQuery"},
		"boundary": {
			func(a *rdsproxy.RdsProxyArgs) { a.PermissionsBoundaryArn = "b" },
			`permissionsBoundaryArn: "b": want`,
		},
		"partition": {func(a *rdsproxy.RdsProxyArgs) { a.Partition = "gcp" }, `partition: "gcp": want one of`},
		"port": {
			func(a *rdsproxy.RdsProxyArgs) { a.DatabasePort = 80 },
			"databasePort: 80: want 1150 to 65535",
		},
		"client's name": {func(a *rdsproxy.RdsProxyArgs) { a.Clients[0].Name = "" }, `clients[0].name: "": want`},
		"client's group": {
			func(a *rdsproxy.RdsProxyArgs) { a.Clients[0].SecurityGroupID = nil },
			"clients[0].securityGroupId: is missing",
		},
		"user": {func(a *rdsproxy.RdsProxyArgs) { a.Users[0].Name = "a-b" }, `users[0].name: "a-b": want`},
		"user twice": {
			func(a *rdsproxy.RdsProxyArgs) { a.Users[1].Name = a.Users[0].Name },
			`users[1].name: "myshop_app_a": is named twice`,
		},
		"user's secret": {
			func(a *rdsproxy.RdsProxyArgs) { a.Users[0].SecretArn = nil },
			"users[0].secretArn: is missing",
		},
		"user's key": {
			func(a *rdsproxy.RdsProxyArgs) { a.Users[0].KmsKeyArn = nil },
			"users[0].kmsKeyArn: is missing",
		},
		"refresh": {
			func(a *rdsproxy.RdsProxyArgs) { a.RefreshInterval = "2h" },
			`refreshInterval: "2h": want 10s to 1h`,
		},
		"consumer's secret": {func(a *rdsproxy.RdsProxyArgs) { a.ConsumerSecret = "My" }, `consumerSecret: "My": want`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := arguments()
			c.change(args)
			require.ErrorContains(t, args.Validate(), c.fault)
			recorded, err := componenttest.Try(create(args))
			require.ErrorContains(t, err, c.fault)
			assert.Empty(t, recorded.Each())
		})
	}
}

// identifier is the identifier of an instance. Long ones are frequent, because they break names.
type identifier string

func (identifier) Generate(random *rand.Rand, _ int) reflect.Value {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789-"
	length := 1 + random.Intn(63)
	if random.Intn(2) == 0 {
		length = 50 + random.Intn(14)
	}
	name := []byte{letters[random.Intn(26)]}
	for len(name) < length {
		next := letters[random.Intn(len(letters))]
		if next == '-' && (name[len(name)-1] == '-' || len(name) == length-1) {
			continue
		}
		name = append(name, next)
	}
	return reflect.ValueOf(identifier(name))
}

// nameRules are the rules of AWS and Kubernetes for names, by type and input.
var nameRules = map[[2]string]*regexp.Regexp{
	{proxyType, "name"}:          regexp.MustCompile(`^[a-zA-Z](-?[a-zA-Z0-9]){0,62}$`),
	{secretType, "name"}:         regexp.MustCompile(`^[a-zA-Z0-9/_+=.@-]{1,512}$`),
	{secretType, "description"}:  regexp.MustCompile(`^.{1,1000}$`),
	{roleType, "name"}:           regexp.MustCompile(`^[\w+=,.@-]{1,64}$`),
	{roleType, "description"}:    regexp.MustCompile(`^.{1,1000}$`),
	{networkType, "name"}:        regexp.MustCompile(`^[a-zA-Z0-9 ._:/()#,@\[\]+=&;{}!$*-]{1,255}$`),
	{networkType, "description"}: regexp.MustCompile(`^[a-zA-Z0-9 ._:/()#,@\[\]+=&;{}!$*-]{1,255}$`),
	{logType, "name"}:            regexp.MustCompile(`^[a-zA-Z0-9._/#-]{1,512}$`),
}

func TestEveryNameKeepsItsLimitsForAnyInstanceAndService(t *testing.T) {
	t.Parallel()
	keeps := func(instance, service identifier, region uint8) bool {
		args := arguments()
		args.Name, args.Service, args.Namespace = rdsproxy.NameFor(string(instance)), string(service), string(service)
		args.Region = []string{"ap-northeast-2", "us-gov-west-1", "ap-southeast-1"}[region%3]
		args.Clients[0].Name = strings.Repeat("x", 100)
		if strings.HasPrefix(args.Name, "sg-") {
			return args.Validate() != nil
		}
		recorded, err := componenttest.Try(func(ctx *pulumi.Context) error {
			_, err := rdsproxy.NewProxySecrets(ctx, "s", &rdsproxy.ProxySecretsArgs{
				Prefix: string(instance), Users: []string{strings.Repeat("u", 63)},
				KmsKeyArn: pulumi.String(componenttest.KeyArn),
			})
			if err != nil {
				return err
			}
			return create(args)(ctx)
		})
		if err != nil {
			t.Errorf("%s, %s: %v", instance, service, err)
			return false
		}
		seen, good := map[[2]string]bool{}, true
		for _, resource := range recorded.Each() {
			for rule, form := range nameRules {
				if value, is := resource.Inputs[rule[1]].(string); resource.Type == rule[0] && is {
					seen[rule] = true
					good = assert.Regexp(t, form, value, "%s of %s", rule[1], resource.Type) && good
				}
			}
			if strings.HasPrefix(resource.Type, "kubernetes:") {
				name, _ := resource.At("metadata", "name").(string)
				good = assert.True(t, validation.Label.Matches(name), "%s of %s", name, resource.Type) && good
			}
		}
		return assert.Len(t, seen, len(nameRules), "every kind of name was seen") && good
	}
	require.NoError(t, quick.Check(keeps, &quick.Config{MaxCount: 40}))
}

// An accepted init query contains only SET statements.
func FuzzInitQueries(f *testing.F) {
	for _, seed := range []string{
		"SET a = 1", "set a=1;SET b=2;", ";", "SET", "SET a; DROP TABLE b",
		"  set\ta = 'x' ; ",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		settings := arguments().Settings
		settings.InitQuery = query
		if err := settings.Validate(); err != nil {
			assert.ErrorContains(t, err, "initQuery")
			return
		}
		for _, statement := range strings.Split(query, ";") {
			if statement = strings.TrimSpace(statement); statement != "" {
				assert.True(t, strings.EqualFold(statement[:3], "set"), query)
			}
		}
	})
}
