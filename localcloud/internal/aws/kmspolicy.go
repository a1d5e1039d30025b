package aws

import (
	"strings"

	"dbtier/localcloud/internal/aws/iam"
)

// defaultKeyPolicy is the policy that KMS gives to a key without one. It delegates to the account's identity policies.
var defaultKeyPolicy = canonicalJSON(map[string]any{
	"Version": iam.Version2012, "Id": "key-default-1",
	"Statement": []any{map[string]any{
		"Sid": "Enable IAM User Permissions", "Effect": "Allow",
		"Principal": map[string]any{"AWS": "arn:aws:iam::" + AccountID + ":root"},
		"Action":    "kms:*", "Resource": "*",
	}},
})

// awsManagedPolicy allows all principals of the account to use the key through the service.
func awsManagedPolicy(region, service string) string {
	return canonicalJSON(map[string]any{
		"Version": iam.Version2012, "Id": "auto-" + service,
		"Statement": []any{map[string]any{
			"Sid": "Allow access through " + service +
				" for all principals in the account that are authorized to use it",
			"Effect": "Allow", "Principal": map[string]any{"AWS": "*"},
			"Action": []string{
				"kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*",
				"kms:CreateGrant", "kms:DescribeKey",
			},
			"Resource": "*",
			"Condition": map[string]any{"StringEquals": map[string]any{
				"kms:CallerAccount": AccountID,
				"kms:ViaService":    service + "." + region + ".amazonaws.com",
			}},
		}},
	})
}

// maxKeyPolicy is the largest size of a key policy, in bytes.
const maxKeyPolicy = 32768

// checkKeyPolicy refuses the policies that KMS refuses: those that name principals that do not exist, and those that
// would lock out the caller.
func (c *Cloud) checkKeyPolicy(st *state, k *kmsKey, bypass bool, f *faults) {
	const code = "MalformedPolicyDocumentException"
	if len(k.Policy) > maxKeyPolicy {
		f.add("LimitExceededException", "policy", "must have at most %d bytes", maxKeyPolicy)
	}
	policy, err := iam.Parse(k.Policy, iam.Key)
	if err != nil {
		f.add(code, "policy", "%v", err)
		return
	}
	for _, missing := range st.missingPrincipals(policy) {
		f.add(code, "policy", "policy contains a statement with one or more invalid principals: %s", missing)
	}
	if bypass {
		return
	}
	admin := administrator(st)
	ctx := c.conditionContext(admin, k.Region, "", "")
	ctx.Set("kms:CallerAccount", admin.Account)
	k.conditionKeys(ctx)
	d := iam.Evaluate(admin.Principal, iam.Request{Action: "kms:PutKeyPolicy", Resource: k.arn(), Context: ctx},
		&iam.ResourcePolicy{Policy: policy, Account: AccountID, Required: true})
	if !d.Allowed {
		f.add(code, "policy", "The new key policy will not allow you to update the key policy in the future. "+
			"(Allow kms:* to arn:aws:iam::%s:root, so that IAM policies can control the key.)", AccountID)
	}
}

// missingPrincipals returns the roles and users of this account that a policy names and that do not exist.
func (st *state) missingPrincipals(p *iam.Policy) []string {
	var out []string
	for _, s := range p.Statements {
		for _, principal := range s.Principals {
			v := principal.Value
			if principal.Type != "AWS" || !strings.HasPrefix(v, "arn:aws:iam::"+AccountID+":") {
				continue
			}
			switch {
			case strings.HasSuffix(v, ":root"), v == "arn:aws:iam::"+AccountID+":user/"+AdministratorName,
				st.roleByARN(v) != nil:
			default:
				out = append(out, v)
			}
		}
	}
	return out
}
