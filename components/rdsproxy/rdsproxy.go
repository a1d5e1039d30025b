package rdsproxy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/rds"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/iampolicy"
	"dbtier/components/naming"
	"dbtier/components/permission"
)

// Type is the component's type in URNs.
const Type = "dbtier:components:RdsProxy"

// RdsProxy is a proxy that takes connections. Give the consumer of ConsumerSecretName [pulumi.DependsOn] the field
// Ready, too: the Secret is there before the proxy has its target.
type RdsProxy struct {
	pulumi.ResourceState

	// Host is the proxy's endpoint: the name in its certificate.
	Host pulumi.StringOutput `pulumi:"host"`
	// Port of the endpoint.
	Port pulumi.IntOutput `pulumi:"port"`
	// ConsumerSecretName is the Secret with DATABASE_URL.
	ConsumerSecretName pulumi.StringOutput `pulumi:"consumerSecretName"`
	// CAConfigMap holds, under [CAKey], what verifies the proxy's certificate. The pods of the service mount it as
	// [CAPath].
	CAConfigMap pulumi.StringOutput `pulumi:"caConfigMap"`
	// Name of the proxy.
	Name pulumi.StringOutput `pulumi:"name"`
	// Arn of the proxy.
	Arn pulumi.StringOutput `pulumi:"arn"`
	// ResourceID (prx-…) is what rds-db:connect policies name.
	ResourceID pulumi.StringOutput `pulumi:"resourceId"`
	// SecurityGroupID of the proxy.
	SecurityGroupID pulumi.StringOutput `pulumi:"securityGroupId"`
	// Ready is what a consumer waits for: the proxy has its target, and the credential is where the proxy reads it. The
	// component itself is no safe dependency: the SDK adds children to it in goroutines of their own.
	Ready []pulumi.Resource
}

// builder makes the parts of one proxy.
type builder struct {
	ctx    *pulumi.Context
	name   string
	args   *RdsProxyArgs
	parent pulumi.ResourceOption
}

// NewRdsProxy makes the proxy. It returns every fault of the arguments at once, before it makes anything.
func NewRdsProxy(
	ctx *pulumi.Context, name string, args *RdsProxyArgs, opts ...pulumi.ResourceOption,
) (*RdsProxy, error) {
	if args == nil {
		return nil, fmt.Errorf("proxy %s: no arguments given", name)
	}
	own := *args
	own.setDefaults()
	if err := own.Validate(); err != nil {
		return nil, fmt.Errorf("proxy %s: %w", name, err)
	}
	component := &RdsProxy{}
	if err := ctx.RegisterComponentResource(Type, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering proxy %s: %w", name, err)
	}
	b := &builder{ctx: ctx, name: name, args: &own, parent: pulumi.Parent(component)}
	if err := b.build(component); err != nil {
		return nil, fmt.Errorf("proxy %s: %w", name, err)
	}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{
		"host":               component.Host,
		"port":               component.Port,
		"consumerSecretName": component.ConsumerSecretName,
		"caConfigMap":        component.CAConfigMap,
		"name":               component.Name,
		"arn":                component.Arn,
		"resourceId":         component.ResourceID,
		"securityGroupId":    component.SecurityGroupID,
	})
}

func (b *builder) build(component *RdsProxy) error {
	role, policy, roleErr := b.role()
	group, groupErr := b.securityGroup()
	log, logErr := b.logGroup()
	if err := errors.Join(roleErr, groupErr, logErr); err != nil {
		return err
	}
	proxy, err := b.proxy(role, group, []pulumi.Resource{policy, log})
	if err != nil {
		return err
	}
	target, err := b.target(proxy)
	if err != nil {
		return err
	}
	component.Ready = []pulumi.Resource{target}
	if b.args.CredentialSecret != nil {
		pushed, err := b.push()
		if err != nil {
			return err
		}
		component.Ready = append(component.Ready, pushed)
	}
	authorities, authoritiesErr := b.authorities()
	consumer, consumerErr := b.consumerSecret(proxy.Endpoint, component.Ready[1:])
	if err := errors.Join(authoritiesErr, consumerErr); err != nil {
		return err
	}
	component.Host = proxy.Endpoint
	component.Port = pulumi.Int(Port).ToIntOutput()
	component.ConsumerSecretName = consumer.Metadata.Name().Elem()
	component.CAConfigMap = authorities.Metadata.Name().Elem()
	component.Name = proxy.Name
	component.Arn = proxy.Arn
	component.ResourceID = proxy.Arn.ApplyT(resourceID).(pulumi.StringOutput)
	component.SecurityGroupID = group.ID().ToStringOutput()
	return nil
}

// resourceID is the last part of a proxy's ARN, arn:aws:rds:<region>:<account>:db-proxy:prx-….
func resourceID(arn string) (string, error) {
	_, id, found := strings.Cut(arn, ":db-proxy:")
	if !found || !strings.HasPrefix(id, "prx-") {
		return "", fmt.Errorf("%q is no ARN of a proxy, which ends in db-proxy:prx-…", arn)
	}
	return id, nil
}

func (b *builder) tags() pulumi.StringMap { return pulumi.ToStringMap(b.args.Tags) }

// role lets the proxy read the secrets of its users. AWS documents no condition by which its trust could name the
// proxy.
func (b *builder) role() (*iam.Role, *iam.RolePolicy, error) {
	trust, err := iampolicy.JSON(iampolicy.Statement{
		Principal: &iampolicy.Principal{Service: "rds.amazonaws.com"},
		Actions:   []string{"sts:AssumeRole"},
	})
	if err != nil {
		return nil, nil, err
	}
	args := &iam.RoleArgs{
		// Roles are global to an account: two regions may hold a proxy of the same name.
		Name:             pulumi.String(naming.Join(naming.RoleLimit, b.args.Name, b.args.Region, "secrets")),
		Description:      pulumi.Sprintf("Reads the secrets with which the RDS Proxy %s logs in", b.args.Name),
		AssumeRolePolicy: pulumi.String(trust),
		Tags:             b.tags(),
	}
	if b.args.PermissionsBoundaryArn != "" {
		args.PermissionsBoundary = pulumi.String(b.args.PermissionsBoundaryArn)
	}
	role, err := iam.NewRole(b.ctx, b.name+"-role", args, b.parent)
	if err != nil {
		return nil, nil, fmt.Errorf("its role: %w", err)
	}
	var secrets, keys []pulumi.StringInput
	for _, user := range b.args.Users {
		secrets, keys = append(secrets, user.SecretArn), append(keys, user.KmsKeyArn)
	}
	place := permission.Place{Partition: b.args.Partition, Region: b.args.Region, AccountID: b.args.AccountID}
	policy, err := iam.NewRolePolicy(b.ctx, b.name+"-policy", &iam.RolePolicyArgs{
		Name: pulumi.String("read-secrets"),
		Role: role.Name,
		Policy: permission.Policy(place, permission.ReadSecrets{Arns: secrets},
			permission.UseKeys{Arns: keys, Via: "secretsmanager"}),
	}, b.parent)
	if err != nil {
		return nil, nil, fmt.Errorf("its role's policy: %w", err)
	}
	return role, policy, nil
}

// securityGroup opens the proxy to its clients, and to it the way to the instance and nowhere else. The proxy asks
// Secrets Manager by a way of AWS's own.
func (b *builder) securityGroup() (*ec2.SecurityGroup, error) {
	rules := ec2.SecurityGroupIngressArray{}
	for _, client := range b.args.Clients {
		rules = append(rules, ec2.SecurityGroupIngressArgs{
			Description:    pulumi.String("PostgreSQL from " + client.Name),
			Protocol:       pulumi.String("tcp"),
			FromPort:       pulumi.Int(Port),
			ToPort:         pulumi.Int(Port),
			SecurityGroups: pulumi.StringArray{client.SecurityGroupID},
		})
	}
	group, err := ec2.NewSecurityGroup(b.ctx, b.name+"-security-group", &ec2.SecurityGroupArgs{
		Name:        pulumi.String(b.args.Name),
		Description: pulumi.String("Clients of the RDS Proxy " + b.args.Name),
		VpcId:       b.args.VpcID,
		Ingress:     rules,
		Egress: ec2.SecurityGroupEgressArray{ec2.SecurityGroupEgressArgs{
			Description:    pulumi.String("PostgreSQL to the instance"),
			Protocol:       pulumi.String("tcp"),
			FromPort:       pulumi.Int(b.args.DatabasePort),
			ToPort:         pulumi.Int(b.args.DatabasePort),
			SecurityGroups: pulumi.StringArray{b.args.DatabaseSecurityGroupID},
		}},
		Tags: b.tags(),
	}, b.parent)
	if err != nil {
		return nil, fmt.Errorf("its security group: %w", err)
	}
	return group, nil
}

// logGroup comes before the proxy, which else makes one by itself, without retention.
func (b *builder) logGroup() (*cloudwatch.LogGroup, error) {
	group, err := cloudwatch.NewLogGroup(b.ctx, b.name+"-log", &cloudwatch.LogGroupArgs{
		Name:            pulumi.String("/aws/rds/proxy/" + b.args.Name),
		RetentionInDays: pulumi.Int(b.args.LogRetention),
		Tags:            b.tags(),
	}, b.parent)
	if err != nil {
		return nil, fmt.Errorf("its log group: %w", err)
	}
	return group, nil
}

func (b *builder) proxy(role *iam.Role, group *ec2.SecurityGroup, before []pulumi.Resource) (*rds.Proxy, error) {
	var users rds.ProxyAuthArray
	for _, user := range b.args.Users {
		users = append(users, rds.ProxyAuthArgs{
			AuthScheme:             pulumi.String("SECRETS"),
			ClientPasswordAuthType: pulumi.String("POSTGRES_SCRAM_SHA_256"),
			Description:            pulumi.String(user.Name),
			IamAuth:                pulumi.String(b.args.IAMAuth),
			SecretArn:              user.SecretArn,
		})
	}
	proxy, err := rds.NewProxy(b.ctx, b.name+"-proxy", &rds.ProxyArgs{
		Name:                pulumi.String(b.args.Name),
		EngineFamily:        pulumi.String("POSTGRESQL"),
		Auths:               users,
		RoleArn:             role.Arn,
		RequireTls:          pulumi.Bool(true),
		IdleClientTimeout:   pulumi.Int(b.args.IdleClientTimeout),
		DebugLogging:        pulumi.Bool(b.args.DebugLogging),
		VpcSubnetIds:        b.args.SubnetIDs,
		VpcSecurityGroupIds: pulumi.StringArray{group.ID(), b.args.DatabaseClientGroupID},
		Tags:                b.tags(),
	}, b.parent, pulumi.DependsOn(before))
	if err != nil {
		return nil, err
	}
	return proxy, nil
}

// target is the instance behind the proxy.
func (b *builder) target(proxy *rds.Proxy) (*rds.ProxyTarget, error) {
	pool := rds.ProxyDefaultTargetGroupConnectionPoolConfigArgs{
		ConnectionBorrowTimeout:   pulumi.Int(b.args.ConnectionBorrowTimeout),
		MaxConnectionsPercent:     pulumi.Int(b.args.MaxConnectionsPercent),
		MaxIdleConnectionsPercent: pulumi.Int(b.args.MaxIdleConnectionsPercent),
	}
	if b.args.InitQuery != "" {
		pool.InitQuery = pulumi.String(b.args.InitQuery)
	}
	group, err := rds.NewProxyDefaultTargetGroup(b.ctx, b.name+"-target-group", &rds.ProxyDefaultTargetGroupArgs{
		DbProxyName: proxy.Name, ConnectionPoolConfig: pool,
	}, b.parent)
	if err != nil {
		return nil, fmt.Errorf("its target group: %w", err)
	}
	target, err := rds.NewProxyTarget(b.ctx, b.name+"-target", &rds.ProxyTargetArgs{
		DbProxyName: proxy.Name, TargetGroupName: group.Name, DbInstanceIdentifier: b.args.DatabaseIdentifier,
	}, b.parent)
	if err != nil {
		return nil, fmt.Errorf("its target: %w", err)
	}
	return target, nil
}
