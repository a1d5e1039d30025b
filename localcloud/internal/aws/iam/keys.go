package iam

import (
	"regexp"
	"slices"
	"strings"
)

// conditionKeys are the keys that requests to the stand-in can carry. A policy with any other key is refused: AWS would
// supply a value that the stand-in does not have, so negated and IfExists conditions would decide differently.
var conditionKeys = []string{
	"aws:CurrentTime", "aws:EpochTime", "aws:TokenIssueTime", "aws:SecureTransport", "aws:SourceIp", "aws:UserAgent",
	"aws:RequestedRegion", "aws:PrincipalAccount", "aws:PrincipalArn", "aws:PrincipalType", "aws:PrincipalIsAWSService",
	"aws:userid", "aws:username", "aws:FederatedProvider", "aws:TagKeys", "aws:ViaAWSService", "aws:ResourceAccount",
	"aws:SourceAccount", "aws:SourceArn",
	"sts:RoleSessionName", "sts:ExternalId",
	"kms:ViaService", "kms:CallerAccount", "kms:EncryptionContextKeys", "kms:GrantIsForAWSResource", "kms:KeyOrigin",
	"kms:KeySpec", "kms:KeyUsage",
	"secretsmanager:SecretId", "secretsmanager:VersionId", "secretsmanager:VersionStage", "secretsmanager:Name",
	"secretsmanager:Description", "secretsmanager:KmsKeyId", "secretsmanager:KmsKeyArn",
	"secretsmanager:SecretPrimaryRegion",
	"secretsmanager:ForceDeleteWithoutRecovery", "secretsmanager:RecoveryWindowInDays",
	"secretsmanager:RotateImmediately",
	"secretsmanager:ModifyRotationRules",
	"rds:DatabaseClass", "rds:DatabaseEngine", "rds:DatabaseName", "rds:MultiAz",
}

// conditionKeyPrefixes are the beginnings of keys that end with a name chosen by the user.
var conditionKeyPrefixes = []string{
	"aws:ResourceTag/", "aws:RequestTag/", "aws:PrincipalTag/",
	"secretsmanager:ResourceTag/", "rds:db-tag/", "kms:EncryptionContext:",
}

// multivaluedKeys are the keys that can have several values in one request. IAM compares them by ForAnyValue or
// ForAllValues; without one of these it does not say which value counts.
var multivaluedKeys = []string{"aws:TagKeys", "kms:EncryptionContextKeys"}

func multivalued(key string) bool {
	return slices.ContainsFunc(multivaluedKeys, func(k string) bool { return strings.EqualFold(k, key) })
}

// issuerKey is a claim of an OIDC provider, in the form <issuer without scheme>:<claim>. Tokens of a cluster have no
// other claim that IAM makes a key of.
var issuerKey = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)+(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?:(sub|aud)$`)

// ConditionKeys returns the keys with a fixed name that requests to the stand-in can carry.
func ConditionKeys() []string { return slices.Clone(conditionKeys) }

// KnownConditionKey reports whether requests to the stand-in can carry the key.
func KnownConditionKey(key string) bool {
	if slices.ContainsFunc(conditionKeys, func(k string) bool { return strings.EqualFold(k, key) }) {
		return true
	}
	for _, p := range conditionKeyPrefixes {
		if len(key) > len(p) && strings.EqualFold(key[:len(p)], p) {
			return true
		}
	}
	return issuerKey.MatchString(key)
}
