// Package permission says what an identity may do, in types: read these secrets, decrypt with these keys, connect as
// this database user. Each names exact resources, and is no wider than its name.
//
//	policy := permission.Policy(permission.Place{Partition: "aws", Region: "ap-northeast-2", AccountID: "111122223333"},
//		permission.ReadSecrets{Arns: []pulumi.StringInput{database.MasterSecretArn}},
//		permission.UseKeys{Arns: []pulumi.StringInput{database.KmsKeyArn}, Via: "secretsmanager"},
//	)
//
// [Statement] is for what has no type of its own. It refuses wildcards, unless they are asked for by name.
package permission
