package consumer

import (
	"path"
	"strconv"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/contract"
	"dbtier/components/fault"
	"dbtier/components/workload"
	"dbtier/validation"
)

// Database is what the pods need for their database in addition to the Secret with DATABASE_URL. The zero value adds
// nothing.
type Database struct {
	// CAConfigMap is the name of a ConfigMap with the certificates, under [contract.CAKey], that verify the server. The
	// pods find them in the file CAPath. Default none.
	CAConfigMap pulumi.StringInput
	CAPath      string
	// Revision is a text whose change replaces the pods, so that they read the Secret again. Default none: the Secret
	// does not change, or something else restarts the pods.
	Revision pulumi.StringInput
	// IAM is for a service that logs in with IAM tokens. Default none.
	IAM *IAM
}

// IAM is a login with tokens of an IAM role instead of a password.
type IAM struct {
	// URL of the database, without a password. The pods get it as DATABASE_IAM_URL.
	URL pulumi.StringInput
	// Region of the database, for which tokens are signed.
	Region string
	// RoleArn is the role that the pods assume with a token of their ServiceAccount (IRSA). The pod contains everything
	// that this needs, so it also works without the webhook of EKS. Default nil: the cluster provides the credentials,
	// as EKS Pod Identity does.
	RoleArn pulumi.StringInput
	// STSEndpoint is the URL at which the pods reach STS. Default: AWS's own.
	STSEndpoint string
}

const (
	// The webhook of EKS uses the same file.
	tokenDir  = "/var/run/secrets/eks.amazonaws.com/serviceaccount" //nolint:gosec // a folder, and no credential
	tokenFile = "token"
	// tokenSeconds is the lifetime of a ServiceAccount's token. The kubelet renews it after four fifths.
	tokenSeconds = 3600
	// revisionAnnotation changes the pod template, which replaces the pods.
	revisionAnnotation = "dbtier/database-revision"
)

func (d *Database) validate() error {
	var faults fault.List
	if d.CAConfigMap != nil {
		faults.Check(validation.IsMountedFile(d.CAPath) && path.Dir(d.CAPath) != "/tmp", "caPath", d.CAPath,
			validation.MountedFileRule)
	}
	if i := d.IAM; i != nil {
		faults.Check(i.URL != nil, "iam.url", nil, "is missing")
		faults.Form("iam.region", i.Region, validation.Region)
		faults.OptionalForm("iam.stsEndpoint", i.STSEndpoint, validation.Endpoint)
	}
	return faults.Err()
}

func (d *Database) mounts() []workload.Mount {
	var mounts []workload.Mount
	if d.CAConfigMap != nil {
		mounts = append(mounts, workload.File("database-ca", d.CAConfigMap, contract.CAKey, d.CAPath))
	}
	if d.IAM != nil && d.IAM.RoleArn != nil {
		mounts = append(mounts, workload.Mount{
			Volume: "aws-token", Path: tokenDir, File: tokenFile,
			Token: &workload.Token{Audience: "sts.amazonaws.com", Seconds: tokenSeconds},
		})
	}
	return mounts
}

// lifetime tells the service how long it may keep a connection.
func (s *Settings) lifetime() []workload.Variable {
	if s.ConnectionMaxLifetimeSeconds == 0 {
		return nil
	}
	return workload.Variables([2]string{
		contract.ConnectionMaxLifetime, strconv.Itoa(s.ConnectionMaxLifetimeSeconds),
	})
}

func (d *Database) variables() []workload.Variable {
	if d.IAM == nil {
		return nil
	}
	variables := []workload.Variable{
		{Name: contract.DatabaseIAMURL, Value: d.IAM.URL},
		{Name: "AWS_REGION", Value: pulumi.String(d.IAM.Region)},
	}
	if d.IAM.STSEndpoint != "" {
		variables = append(variables, workload.Variables([2]string{"AWS_ENDPOINT_URL_STS", d.IAM.STSEndpoint})...)
	}
	if d.IAM.RoleArn != nil {
		variables = append(variables, workload.Variable{Name: "AWS_ROLE_ARN", Value: d.IAM.RoleArn},
			workload.Variable{
				Name: "AWS_WEB_IDENTITY_TOKEN_FILE", Value: pulumi.String(path.Join(tokenDir, tokenFile)),
			})
	}
	return variables
}
