package consumer

import (
	"path"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/fault"
	"dbtier/validation"
)

// Database is what the pods need for their database besides the Secret with DATABASE_URL. The zero value is nothing.
type Database struct {
	// CAConfigMap names a ConfigMap that holds, under CAKey, the authorities of the certificate that the pods verify.
	// They find it as CAPath. Default none.
	CAConfigMap   pulumi.StringInput
	CAKey, CAPath string
	// Revision is text that changes when the pods have to start anew to take what is now in the Secret. Default none:
	// the Secret's content does not change, or somebody else restarts the pods.
	Revision pulumi.StringInput
	// IAM is for a service that logs in with tokens. Default none.
	IAM *IAM
}

// IAM is a login with tokens of an IAM role in place of a password.
type IAM struct {
	// URL of the database, without a password. The pods have it as DATABASE_IAM_URL.
	URL pulumi.StringInput
	// Region of the database, for which tokens are signed.
	Region string
	// RoleArn is the role that the pods take with a token of their ServiceAccount (IRSA). Everything that is needed
	// stands in the pod, so it works without the webhook of EKS, too. Default nil: the cluster gives the pods
	// credentials by itself, as EKS Pod Identity does.
	RoleArn pulumi.StringInput
	// STSEndpoint is where the pods reach STS, where that is not AWS.
	STSEndpoint string
}

const (
	// Where the webhook of EKS would put it.
	tokenDir  = "/var/run/secrets/eks.amazonaws.com/serviceaccount" //nolint:gosec // a folder, and no credential
	tokenFile = "token"
	// tokenSeconds is how long a token of the ServiceAccount holds; the kubelet puts a new one into the file after four
	// fifths of it.
	tokenSeconds = 3600
	// revisionAnnotation changes the pods' template, and so replaces them.
	revisionAnnotation = "dbtier/database-revision"
)

func (d *Database) validate() error {
	var faults fault.List
	if d.CAConfigMap != nil {
		faults.Check(d.CAKey != "", "caKey", nil, "is missing")
		faults.Check(validation.IsMountedFile(d.CAPath) &&
			path.Dir(d.CAPath) != "/tmp", "caPath", d.CAPath,
			validation.MountedFileRule)
	}
	if i := d.IAM; i != nil {
		faults.Check(i.URL != nil, "iam.url", nil, "is missing")
		faults.Form("iam.region", i.Region, validation.Region)
		faults.OptionalForm("iam.stsEndpoint", i.STSEndpoint, validation.Endpoint)
	}
	return faults.Err()
}

// parts of a pod.
type parts struct {
	volumes corev1.VolumeArray
	mounts  corev1.VolumeMountArray
	env     corev1.EnvVarArray
}

// mount puts a volume into a folder.
func (p *parts) mount(dir string, volume *corev1.VolumeArgs) {
	p.volumes = append(p.volumes, volume)
	p.mounts = append(p.mounts, &corev1.VolumeMountArgs{
		Name: volume.Name.(pulumi.String), MountPath: pulumi.String(dir), ReadOnly: pulumi.Bool(true),
	})
}

func (p *parts) variable(name string, value pulumi.StringInput) {
	p.env = append(p.env, &corev1.EnvVarArgs{Name: pulumi.String(name), Value: value.ToStringOutput()})
}

// partsOf are what the pods need.
func partsOf(d *Database) *parts {
	p := &parts{}
	if d.CAConfigMap != nil {
		p.mount(path.Dir(d.CAPath), &corev1.VolumeArgs{
			Name: pulumi.String("database-ca"), ConfigMap: &corev1.ConfigMapVolumeSourceArgs{
				Name: d.CAConfigMap.ToStringOutput(),
				Items: corev1.KeyToPathArray{&corev1.KeyToPathArgs{
					Key: pulumi.String(d.CAKey), Path: pulumi.String(path.Base(d.CAPath)),
				}},
			},
		})
	}
	if d.IAM == nil {
		return p
	}
	p.variable("DATABASE_IAM_URL", d.IAM.URL)
	p.variable("AWS_REGION", pulumi.String(d.IAM.Region))
	if d.IAM.STSEndpoint != "" {
		p.variable("AWS_ENDPOINT_URL_STS", pulumi.String(d.IAM.STSEndpoint))
	}
	if d.IAM.RoleArn != nil {
		p.variable("AWS_ROLE_ARN", d.IAM.RoleArn)
		p.variable("AWS_WEB_IDENTITY_TOKEN_FILE", pulumi.String(path.Join(tokenDir, tokenFile)))
		p.mount(tokenDir, &corev1.VolumeArgs{
			Name: pulumi.String("aws-token"),
			Projected: &corev1.ProjectedVolumeSourceArgs{
				Sources: corev1.VolumeProjectionArray{&corev1.VolumeProjectionArgs{
					ServiceAccountToken: &corev1.ServiceAccountTokenProjectionArgs{
						Audience: pulumi.String("sts.amazonaws.com"), ExpirationSeconds: pulumi.Int(tokenSeconds),
						Path: pulumi.String(tokenFile),
					},
				}},
			},
		})
	}
	return p
}
