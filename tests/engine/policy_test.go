package engine

import (
	"context"
	"os"

	"github.com/blang/semver"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/policyx"
)

// playPolicyPack serves the tests' policy pack: a true property public is a mandatory violation, a true property old an
// advisory one.
func playPolicyPack() int {
	err := policyx.Main(func(*pulumi.Context) (policyx.PolicyPack, error) {
		rule := func(name, property string, level policyx.EnforcementLevel) policyx.Policy {
			return policyx.NewResourceValidationPolicy(name, policyx.ResourceValidationPolicyArgs{
				Description: name, EnforcementLevel: level,
				ValidateResource: func(_ context.Context, args policyx.ResourceValidationArgs) error {
					if value, ok := args.Resource.Properties.GetOk(property); ok && value.IsBool() && value.AsBool() {
						args.Manager.ReportViolation("it is "+property, args.Resource.URN)
					}
					return nil
				},
			})
		}
		return policyx.NewPolicyPack("tests", semver.MustParse("1.0.0"), policyx.EnforcementLevelAdvisory,
			[]policyx.Policy{
				rule("no-public", "public", policyx.EnforcementLevelMandatory),
				rule("no-old", "old", policyx.EnforcementLevelAdvisory),
			})
	})
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		return 1
	}
	return 0
}
