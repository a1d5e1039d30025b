package irsarole

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/iampolicy"
)

// AssociationType is the type of a Pod Identity association in pulumi-aws. It is registered by its name: the package
// that has it for Go (aws/eks) would add every type of EKS to the program for this one.
const AssociationType = "aws:eks/podIdentityAssociation:PodIdentityAssociation"

// association binds a ServiceAccount to a role.
type association struct {
	pulumi.CustomResourceState

	AssociationArn pulumi.StringOutput `pulumi:"associationArn"`
}

// associationArgs are the inputs of [AssociationType].
type associationArgs struct {
	ClusterName, Namespace, ServiceAccount string
	RoleArn                                pulumi.StringInput
	Tags                                   map[string]string
}

func newAssociation(
	ctx *pulumi.Context, name string, args *associationArgs, opts ...pulumi.ResourceOption,
) (*association, error) {
	made := &association{}
	err := ctx.RegisterResource(AssociationType, name, pulumi.Map{
		"clusterName":    pulumi.String(args.ClusterName),
		"namespace":      pulumi.String(args.Namespace),
		"serviceAccount": pulumi.String(args.ServiceAccount),
		"roleArn":        args.RoleArn,
		"tags":           pulumi.ToStringMap(args.Tags),
	}, made, opts...)
	if err != nil {
		return nil, fmt.Errorf("the Pod Identity association of %s/%s: %w", args.Namespace, args.ServiceAccount, err)
	}
	return made, nil
}

// podIdentityTrust has a statement a ServiceAccount: in one statement every namespace that is named would go with every
// name. EKS sets the tags that it is about ("Enable or disable session tags").
func (a *IrsaRoleArgs) podIdentityTrust() []iampolicy.Statement {
	var statements []iampolicy.Statement
	for _, account := range a.ServiceAccounts {
		statements = append(statements, iampolicy.Statement{
			Principal: &iampolicy.Principal{Service: "pods.eks.amazonaws.com"},
			// EKS tags its sessions, and is refused where it may not.
			Actions: []string{"sts:AssumeRole", "sts:TagSession"},
			Condition: iampolicy.Condition{"StringEquals": {
				"aws:RequestTag/eks-cluster-arn":            {a.ClusterArn},
				"aws:RequestTag/kubernetes-namespace":       {account.Namespace},
				"aws:RequestTag/kubernetes-service-account": {account.Name},
			}},
		})
	}
	return statements
}

// associate makes an association for each ServiceAccount.
func (a *IrsaRoleArgs) associate(
	ctx *pulumi.Context, name string, role pulumi.StringInput, parent pulumi.ResourceOption,
) ([]pulumi.Resource, error) {
	var made []pulumi.Resource
	for _, account := range a.ServiceAccounts {
		bound, err := newAssociation(ctx, fmt.Sprintf("%s-%s.%s", name, account.Namespace, account.Name),
			&associationArgs{
				ClusterName: clusterForm.FindStringSubmatch(a.ClusterArn)[3], Namespace: account.Namespace,
				ServiceAccount: account.Name,
				RoleArn:        role, Tags: a.Tags,
			}, parent)
		if err != nil {
			return nil, err
		}
		made = append(made, bound)
	}
	return made, nil
}
