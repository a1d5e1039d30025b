package rds

import (
	"dbtier/policy/rule"
	"dbtier/policy/types"
)

// snapshots returns the rules for snapshots, and for copies of snapshots and backups.
func snapshots() []*rule.Rule {
	return []*rule.Rule{{
		Name: "rds-snapshot-private", Severity: rule.Critical, Levels: rule.Always,
		Summary: "A snapshot is not public.",
		Why:     "A public snapshot exposes the whole database to everyone.",
		Fix:     "remove all from sharedAccounts",
		IDs:     []string{"CKV_AWS_302", "RDS.1"}, Types: []string{types.DBSnapshot, types.DBClusterSnapshot},
		Resource: func(s *rule.Subject) {
			if s.Get("sharedAccounts").Contains("all") {
				s.Get("sharedAccounts").Fail("the snapshot is public")
			}
		},
	}, {
		Name: "rds-copies-cmk", Severity: rule.Medium, Levels: rule.InProduction,
		Summary: "Copies of snapshots and backups are encrypted with a customer managed key.",
		Why:     "A copy in another region or account needs a key there, and an AWS managed key cannot be shared.",
		Fix:     "set kmsKeyId",
		IDs:     []string{"CKV_AWS_266", "CKV_AWS_245"},
		Types:   []string{types.DBSnapshotCopy, types.DBBackupsReplication},
		Resource: func(s *rule.Subject) {
			s.Get("kmsKeyId").RequireFilled("is missing: the copy does not have a customer managed key")
		},
	}}
}
