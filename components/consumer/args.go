package consumer

import (
	"fmt"
	"path"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"dbtier/components/fault"
	"dbtier/components/workload"
	"dbtier/validation"
)

// ConsumerArgs are the arguments of [NewConsumer].
type ConsumerArgs struct {
	Settings

	// Namespace of the service.
	Namespace string
	// ServiceAccount of the pods.
	ServiceAccount pulumi.StringInput
	// DatabaseSecret is the name of the Secret that contains DATABASE_URL.
	DatabaseSecret pulumi.StringInput
	// Database is what else the pods need for their database.
	Database Database
	// EnvSecrets are the names of further Secrets. Each of their keys becomes an environment variable.
	EnvSecrets []pulumi.StringInput
	// SecretMounts are further Secrets. Each of their keys becomes a file, which changes with the Secret while the pod
	// runs.
	SecretMounts []SecretMount
	// Protect makes the engine refuse to delete or replace the Deployment and the Service. The driver asks a
	// person instead. Default false.
	Protect bool
	// Scheduling of the pods. Default: anywhere, spread over zones as far as possible.
	Scheduling workload.Scheduling
}

// SecretMount mounts a Secret as a folder.
type SecretMount struct {
	// Secret in the service's namespace.
	Secret pulumi.StringInput
	// Path of the folder, absolute.
	Path string
}

// SetDefaults does nothing: the settings begin with [Defaults], and no other argument has a default.
func (*ConsumerArgs) SetDefaults() {}

// Validate returns every fault of the arguments.
func (a *ConsumerArgs) Validate() error {
	var faults fault.List
	faults.Within("", a.Settings.Validate())
	faults.Form("namespace", a.Namespace, validation.Label)
	faults.Check(a.ServiceAccount != nil, "serviceAccount", nil, "is missing")
	faults.Check(a.DatabaseSecret != nil, "databaseSecret", nil, "is missing: the Secret with DATABASE_URL")
	faults.Within("database", a.Database.validate())
	for i, secret := range a.EnvSecrets {
		faults.Check(secret != nil, fmt.Sprintf("envSecrets[%d]", i), nil, "is missing")
	}
	a.validateMounts(&faults)
	faults.Within("scheduling", a.Scheduling.Validate())
	return faults.Err()
}

func (a *ConsumerArgs) validateMounts(faults *fault.List) {
	for i, mount := range a.SecretMounts {
		at := fmt.Sprintf("secretMounts[%d]", i)
		faults.Check(mount.Secret != nil, at+".secret", nil, "is missing")
		faults.Check(IsMountPath(mount.Path), at+".path", mount.Path, MountPathRule)
		for _, other := range a.SecretMounts[:i] {
			faults.Check(!inside(mount.Path, other.Path) && !inside(other.Path, mount.Path), at+".path", mount.Path,
				"overlaps with %s; want separate folders", other.Path)
		}
	}
}

// MountPathRule is what an error says where [IsMountPath] is false.
const MountPathRule = "want the absolute path of a folder, such as /etc/myshop/tls, that is not /tmp"

// IsMountPath reports whether a Secret can be mounted at folder.
func IsMountPath(folder string) bool {
	return path.IsAbs(folder) && path.Clean(folder) == folder && folder != "/" && !inside(folder, "/tmp") &&
		!strings.ContainsAny(folder, ":\x00")
}

func inside(folder, of string) bool { return folder == of || strings.HasPrefix(folder, of+"/") }
