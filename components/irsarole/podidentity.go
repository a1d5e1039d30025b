package irsarole

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/component"
	"dbtier/components/iampolicy"
)

// AssociationType is the type of a Pod Identity association in pulumi-aws. It is registered by its name, because the Go
// package aws/eks would add every type of EKS to the program for this one.
const AssociationType = "aws:eks/podIdentityAssociation:PodIdentityAssociation"

// association binds a ServiceAccount to a role.
type association struct {
	pulumi.CustomResourceState

	AssociationArn pulumi.StringOutput `pulumi:"associationArn"`
}

func associate(
	s component.Scope, a *IrsaRoleArgs, account ServiceAccount, role pulumi.StringInput,
) (*association, error) {
	bound := &association{}
	err := s.Ctx.RegisterResource(AssociationType, s.Child(account.Namespace+"."+account.Name), pulumi.Map{
		"clusterName":    pulumi.String(clusterForm.FindStringSubmatch(a.ClusterArn)[3]),
		"namespace":      pulumi.String(account.Namespace),
		"serviceAccount": pulumi.String(account.Name),
		"roleArn":        role,
		"tags":           pulumi.ToStringMap(a.Tags),
	}, bound, s.Parent)
	if err != nil {
		return nil, fmt.Errorf("the Pod Identity association of %s/%s: %w", account.Namespace, account.Name, err)
	}
	return bound, nil
}

// podIdentityTrust returns one statement for each ServiceAccount: a single statement would allow every listed namespace
// with every listed name. EKS sets the tags of the conditions ("Enable or disable session tags").
func (a *IrsaRoleArgs) podIdentityTrust() []iampolicy.Statement {
	var statements []iampolicy.Statement
	for _, account := range a.ServiceAccounts {
		statements = append(statements, iampolicy.Statement{
			Principal: &iampolicy.Principal{Service: "pods.eks.amazonaws.com"},
			// EKS tags its sessions, and fails without the right to do so.
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
