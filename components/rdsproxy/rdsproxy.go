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

	"dbtier/components/component"
	"dbtier/components/iampolicy"
	"dbtier/components/naming"
	"dbtier/components/permission"
)

// Type is the component's type in URNs.
const Type = "dbtier:components:RdsProxy"

// RdsProxy is a proxy that accepts connections.
type RdsProxy struct {
	pulumi.ResourceState

	// Host is the proxy's endpoint, which is the name in its certificate.
	Host pulumi.StringOutput `pulumi:"host"`
	// Port of the endpoint.
	Port pulumi.IntOutput `pulumi:"port"`
	// ConsumerSecretName is the Secret with DATABASE_URL. It exists before the proxy has its target: what uses it must
	// also depend on Ready.
	ConsumerSecretName pulumi.StringOutput `pulumi:"consumerSecretName"`
	// CAConfigMap holds, under [contract.CAKey], the certificates that verify the proxy. The service's pods mount it at
	// [contract.ProxyCAPath].
	CAConfigMap pulumi.StringOutput `pulumi:"caConfigMap"`
	// Name of the proxy.
	Name pulumi.StringOutput `pulumi:"name"`
	// Arn of the proxy.
	Arn pulumi.StringOutput `pulumi:"arn"`
	// ResourceID (prx-…) is what rds-db:connect policies name.
	ResourceID pulumi.StringOutput `pulumi:"resourceId"`
	// SecurityGroupID of the proxy.
	SecurityGroupID pulumi.StringOutput `pulumi:"securityGroupId"`
	// Ready resolves when the proxy has its target and can read the credential. Depend on it and not on the component
	// (package component).
	Ready []pulumi.Resource
}

type builder struct {
	component.Scope

	args *RdsProxyArgs
}

// NewRdsProxy creates the proxy.
func NewRdsProxy(
	ctx *pulumi.Context, name string, args *RdsProxyArgs, opts ...pulumi.ResourceOption,
) (*RdsProxy, error) {
	return component.New(ctx, Type, name, args, build, opts...)
}

func build(s component.Scope, args *RdsProxyArgs, out *RdsProxy) error {
	b := &builder{s, args}
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
	out.Ready = []pulumi.Resource{target}
	if b.args.CredentialSecret != nil {
		pushed, err := b.push()
		if err != nil {
			return err
		}
		out.Ready = append(out.Ready, pushed.Resource)
	}
	authorities, authoritiesErr := b.authorities()
	consumer, consumerErr := b.consumerSecret(proxy.Endpoint, out.Ready[1:])
	if err := errors.Join(authoritiesErr, consumerErr); err != nil {
		return err
	}
	out.Host = proxy.Endpoint
	out.Port = pulumi.Int(Port).ToIntOutput()
	out.ConsumerSecretName = consumer.Name
	out.CAConfigMap = authorities.Name
	out.Name = proxy.Name
	out.Arn = proxy.Arn
	out.ResourceID = proxy.Arn.ApplyT(resourceID).(pulumi.StringOutput)
	out.SecurityGroupID = group.ID().ToStringOutput()
	return nil
}

// resourceID returns the last part of a proxy's ARN, arn:aws:rds:<region>:<account>:db-proxy:prx-….
func resourceID(arn string) (string, error) {
	_, id, found := strings.Cut(arn, ":db-proxy:")
	if !found || !strings.HasPrefix(id, "prx-") {
		return "", fmt.Errorf("%q is not the ARN of a proxy, which ends in db-proxy:prx-…", arn)
	}
	return id, nil
}

func (b *builder) tags() pulumi.StringMap { return pulumi.ToStringMap(b.args.Tags) }

// role creates the role with which the proxy reads the secrets of its users. AWS documents no condition that would
// limit the trust policy to this proxy.
func (b *builder) role() (*iam.Role, *iam.RolePolicy, error) {
	trust, err := iampolicy.JSON(iampolicy.Statement{
		Principal: &iampolicy.Principal{Service: "rds.amazonaws.com"},
		Actions:   []string{"sts:AssumeRole"},
	})
	if err != nil {
		return nil, nil, err
	}
	args := &iam.RoleArgs{
		// Roles are global to an account, and two regions may have a proxy of the same name.
		Name:             pulumi.String(naming.Join(naming.RoleLimit, b.args.Name, b.args.Region, "secrets")),
		Description:      pulumi.Sprintf("Reads the secrets with which the RDS Proxy %s logs in", b.args.Name),
		AssumeRolePolicy: pulumi.String(trust),
		Tags:             b.tags(),
	}
	if b.args.PermissionsBoundaryArn != "" {
		args.PermissionsBoundary = pulumi.String(b.args.PermissionsBoundaryArn)
	}
	role, err := iam.NewRole(b.Ctx, b.Child("role"), args, b.Parent)
	if err != nil {
		return nil, nil, fmt.Errorf("the role: %w", err)
	}
	var secrets, keys []pulumi.StringInput
	for _, user := range b.args.Users {
		secrets, keys = append(secrets, user.SecretArn), append(keys, user.KmsKeyArn)
	}
	place := permission.Place{Partition: b.args.Partition, Region: b.args.Region, AccountID: b.args.AccountID}
	policy, err := iam.NewRolePolicy(b.Ctx, b.Child("policy"), &iam.RolePolicyArgs{
		Name: pulumi.String("read-secrets"),
		Role: role.Name,
		Policy: permission.Policy(place, permission.ReadSecrets{Arns: secrets},
			permission.UseKeys{Arns: keys, Via: "secretsmanager"}),
	}, b.Parent)
	if err != nil {
		return nil, nil, fmt.Errorf("the role's policy: %w", err)
	}
	return role, policy, nil
}

// securityGroup lets the clients reach the proxy, and the proxy reach the instance and nothing else. The proxy reads
// Secrets Manager over AWS's internal network.
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
	group, err := ec2.NewSecurityGroup(b.Ctx, b.Child("security-group"), &ec2.SecurityGroupArgs{
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
	}, b.Parent)
	if err != nil {
		return nil, fmt.Errorf("the security group: %w", err)
	}
	return group, nil
}

// logGroup is created before the proxy, which otherwise creates one without retention.
func (b *builder) logGroup() (*cloudwatch.LogGroup, error) {
	group, err := cloudwatch.NewLogGroup(b.Ctx, b.Child("log"), &cloudwatch.LogGroupArgs{
		Name:            pulumi.String("/aws/rds/proxy/" + b.args.Name),
		RetentionInDays: pulumi.Int(b.args.LogRetention),
		Tags:            b.tags(),
	}, b.Parent, pulumi.RetainOnDelete(b.args.KeepLogs))
	if err != nil {
		return nil, fmt.Errorf("the log group: %w", err)
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
	proxy, err := rds.NewProxy(b.Ctx, b.Child("proxy"), &rds.ProxyArgs{
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
	}, b.Parent, pulumi.DependsOn(before), pulumi.Protect(b.args.Protect))
	if err != nil {
		return nil, fmt.Errorf("the proxy: %w", err)
	}
	return proxy, nil
}

// target registers the instance as the proxy's target.
func (b *builder) target(proxy *rds.Proxy) (*rds.ProxyTarget, error) {
	pool := rds.ProxyDefaultTargetGroupConnectionPoolConfigArgs{
		ConnectionBorrowTimeout:   pulumi.Int(b.args.ConnectionBorrowTimeout),
		MaxConnectionsPercent:     pulumi.Int(b.args.MaxConnectionsPercent),
		MaxIdleConnectionsPercent: pulumi.Int(b.args.MaxIdleConnectionsPercent),
	}
	if b.args.InitQuery != "" {
		pool.InitQuery = pulumi.String(b.args.InitQuery)
	}
	group, err := rds.NewProxyDefaultTargetGroup(b.Ctx, b.Child("target-group"), &rds.ProxyDefaultTargetGroupArgs{
		DbProxyName: proxy.Name, ConnectionPoolConfig: pool,
	}, b.Parent)
	if err != nil {
		return nil, fmt.Errorf("the target group: %w", err)
	}
	target, err := rds.NewProxyTarget(b.Ctx, b.Child("target"), &rds.ProxyTargetArgs{
		DbProxyName: proxy.Name, TargetGroupName: group.Name, DbInstanceIdentifier: b.args.DatabaseIdentifier,
	}, b.Parent)
	if err != nil {
		return nil, fmt.Errorf("the target: %w", err)
	}
	return target, nil
}
