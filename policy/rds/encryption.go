package rds

import (
	"strings"

	"dbtier/policy/rule"
	"dbtier/policy/types"
	"dbtier/validation/rdsrules"
)

func encryption() []*rule.Rule {
	return []*rule.Rule{{
		Name: "rds-storage-encrypted", Severity: rule.Critical, Levels: rule.Always,
		Summary: "The storage of a database is encrypted.",
		Why:     "Snapshots of unencrypted storage are readable, and encrypting the storage later needs a restore.",
		Fix:     "set storageEncrypted; it replaces an instance, so restore that from an encrypted snapshot copy",
		IDs: []string{
			"CKV_AWS_16", "AVD-AWS-0080", "AVD-AWS-0079", "RDS.3", "RDS.4", "CIS-2.3.1", "CIS-3.2.1",
			"awsguard:rds-storage-encrypted", "pulumi:rds.Instance.disallowUnencryptedStorage", "CKV_AWS_146",
		},
		// A replica's storage is encrypted if its source's is.
		Resource: unlessReplica(on("storageEncrypted", false, "the storage is not encrypted")),
	}, {
		Name: "rds-storage-cmk", Severity: rule.Medium, Levels: rule.InProduction,
		Summary: "The storage of a database is encrypted with a customer managed key.",
		Why:     "A snapshot under the AWS managed key cannot be shared with or copied to another account.",
		Fix:     "set kmsKeyId to the ARN of a customer managed key",
		Knobs: []rule.Knob{
			{Name: "kmsKeyId", Description: "ARN of the only allowed key. Empty allows every key.", Default: ""},
		},
		IDs: []string{
			"CKV_AWS_327", "pulumi:rds.Instance.configureCustomerManagedKey", "awsguard:rds-storage-encrypted",
		},
		Resource: unlessReplica(func(s *rule.Subject) {
			value, only := s.Get("kmsKeyId"), s.Text("kmsKeyId")
			if only == "" {
				value.RequireFilled("is missing: aws/rds encrypts the storage")
			} else if key, ok := value.Text(""); ok && key != only {
				value.Fail("the policy config wants the key %s", only)
			}
		}),
	}, {
		Name: "rds-performance-insights-cmk", Severity: rule.Medium, Levels: rule.InProduction,
		Summary: "The data of Performance Insights is encrypted with a customer managed key.",
		Why:     "The data contains the text of statements.",
		Fix:     "set performanceInsightsKmsKeyId",
		IDs:     []string{"CKV_AWS_354", "AVD-AWS-0078", "pulumi:rds.Instance.disallowUnencryptedPerformanceInsights"},
		Types:   []string{types.DBInstance, types.DBClusterInstance},
		Resource: func(s *rule.Subject) {
			if is, ok := s.Get("performanceInsightsEnabled").Bool(false); ok && is {
				s.Get("performanceInsightsKmsKeyId").RequireFilled("is missing: aws/rds encrypts the data")
			}
		},
	}, {
		Name: "rds-force-ssl", Severity: rule.High, Levels: rule.Always,
		Summary: "The database refuses connections without TLS.",
		Why:     "A client that does not use TLS sends its statements and receives their results in plain text.",
		Fix:     "set the parameter rds.force_ssl to 1",
		IDs:     []string{"CKV2_AWS_69", "RDS.38"}, Types: parameterGroups(),
		Resource: func(s *rule.Subject) {
			family, ok := ofPostgres(s)
			if !ok {
				return
			}
			value, ok := parameter(s, "rds.force_ssl")
			switch {
			case !ok:
			case value.Path() != "":
				value.RequireText("rds.force_ssl is off", "1")
			case major(family) < forcesTLS(family):
				s.Get("parameters").Fail("rds.force_ssl is not set, and the default of %s is 0", family)
			}
		},
	}, {
		Name: "rds-ca-certificate", Severity: rule.Medium, Levels: rule.Always,
		Summary: "A current certificate authority has signed the server certificate.",
		Why:     "When rds-ca-2019 expired, clients that verify the server could no longer connect.",
		Fix:     "set caCertIdentifier to rds-ca-rsa2048-g1, rds-ca-rsa4096-g1 or rds-ca-ecc384-g1",
		IDs:     []string{"CKV_AWS_211"}, Types: []string{types.DBInstance, types.DBClusterInstance},
		Resource: func(s *rule.Subject) {
			s.Get("caCertIdentifier").RequireText("is not a current authority of RDS",
				append([]string{""}, rdsrules.CACertificates...)...)
		},
	}}
}

// forcesTLS returns the major version from which on rds.force_ssl is 1 by default.
func forcesTLS(family string) int {
	if strings.HasPrefix(family, "aurora") {
		return 17
	}
	return 15
}
