package aws

import (
	"net/http"
	"strings"

	"dbtier/localcloud/internal/aws/iam"
	"dbtier/localcloud/internal/aws/wire"
)

var secretsActions = map[string]func(*call, []byte) (any, error){
	"GetSecretValue":       withInput("GetSecretValue", (*call).getSecretValue),
	"BatchGetSecretValue":  withInput("BatchGetSecretValue", (*call).batchGetSecretValue),
	"DescribeSecret":       withInput("DescribeSecret", (*call).describeSecret),
	"ListSecrets":          withInput("ListSecrets", (*call).listSecrets),
	"ListSecretVersionIds": withInput("ListSecretVersionIds", (*call).listSecretVersionIDs),
	"GetResourcePolicy":    withInput("GetResourcePolicy", (*call).getResourcePolicy),
	"RotateSecret":         withInput("RotateSecret", (*call).rotateSecret),
	"CreateSecret":         withInput("CreateSecret", (*call).createSecret),
	"PutSecretValue":       withInput("PutSecretValue", (*call).putSecretValue),
	"UpdateSecret":         withInput("UpdateSecret", (*call).updateSecret),
	"DeleteSecret":         withInput("DeleteSecret", (*call).deleteSecret),
	"RestoreSecret":        withInput("RestoreSecret", (*call).restoreSecret),
	"TagResource":          withInput("TagResource", (*call).tagSecret),
	"UntagResource":        withInput("UntagResource", (*call).untagSecret),
}

// withInput wraps a JSON action so that its input is decoded.
func withInput[T any](action string, do func(*call, T) (any, error)) func(*call, []byte) (any, error) {
	return func(k *call, body []byte) (any, error) {
		in, err := wire.DecodeJSON[T](action, body)
		if err != nil {
			return nil, err
		}
		return do(k, in)
	}
}

// findSecret finds a secret by its name, its ARN, or its ARN without the six random characters.
func (st *state) findSecret(region, id string) *secret {
	if s := st.Secrets[id]; s != nil && s.Region == region {
		return s
	}
	for _, s := range st.Secrets {
		if s.Region == region && (s.Name == id || s.ARN[:len(s.ARN)-len("-123456")] == id) {
			return s
		}
	}
	return nil
}

func secretARN(region, name, suffix string) string {
	return "arn:aws:secretsmanager:" + region + ":" + AccountID + ":secret:" + name + suffix
}

const (
	codeNotFound       = "ResourceNotFoundException"
	codeInvalidParam   = "InvalidParameterException"
	codeInvalidRequest = "InvalidRequestException"
)

func errNoSecret() error {
	return wire.Errorf(codeNotFound, "Secrets Manager can't find the specified secret.")
}

// secretFor finds a secret and checks that the caller may perform the action on it. It checks permissions first, so
// that a denied caller does not learn whether the secret exists.
func (k *call) secretFor(action, id string, keys func(iam.Context)) (*secret, error) {
	if id == "" {
		return nil, wire.Errorf(codeInvalidParam, "You must provide a SecretId")
	}
	s := k.st.findSecret(k.region, id)
	arn := id
	switch {
	case s != nil:
		arn = s.ARN
	case !strings.HasPrefix(id, "arn:"):
		arn = secretARN(k.region, id, "")
	}
	err := k.allow("secretsmanager:"+action, arn, func(ctx iam.Context) {
		ctx.Set("secretsmanager:SecretId", arn)
		if s != nil {
			ctx.Set("secretsmanager:SecretPrimaryRegion", s.Region)
			ctx.SetTags("aws:ResourceTag", s.Tags)
			ctx.SetTags("secretsmanager:ResourceTag", s.Tags)
		}
		if keys != nil {
			keys(ctx)
		}
	})
	switch {
	case err != nil:
		return nil, err
	case s == nil:
		return nil, errNoSecret()
	}
	return s, nil
}

// alive returns an error if the secret is scheduled for deletion.
func alive(s *secret) error {
	if s.DeletionDate != nil {
		return wire.Errorf(codeInvalidRequest,
			"You can't perform this operation on the secret because it was marked for deletion.")
	}
	return nil
}

// unmanaged returns an error if only the owning service can make the change.
func unmanaged(s *secret, verb string) error {
	if s.Owner != "" {
		return wire.Errorf(codeInvalidRequest, "You can't %s this secret: it is managed by %s.", verb, s.Owner)
	}
	return nil
}

// decryptable checks that the secret's key is enabled and that the caller may use it.
func (k *call) decryptable(s *secret, versionID string, actions ...string) error {
	key, err := k.keyOf(s)
	if err != nil {
		return err
	}
	if key == nil || key.keyState() != "Enabled" {
		return wire.Errorf("DecryptionFailure",
			"Secrets Manager can't decrypt the protected secret text using the provided KMS key.")
	}
	for _, action := range actions {
		encryption := map[string]string{"SecretARN": s.ARN}
		if versionID != "" {
			encryption["SecretVersionId"] = versionID
		}
		if k.allowKey(key, action, "secretsmanager", encryption) != nil {
			k.c.log.Warn("the secret's KMS key denies access", "principal", k.who.ARN, "action", action, "key", key.ID,
				"secret", s.Name)
			return wire.Status(http.StatusForbidden, "AccessDenied", "Access to KMS is not allowed")
		}
	}
	return nil
}

// keyOf returns the key of a secret, or nil if it was deleted. The policy of the AWS managed key allows all principals
// of the account to use it through Secrets Manager, but a policy of the caller can deny it.
func (k *call) keyOf(s *secret) (key *kmsKey, err error) {
	if s.KMSKeyID != "" {
		return k.st.Keys[s.KMSKeyID], nil
	}
	if managed := k.st.findKey(s.Region, "alias/aws/secretsmanager"); managed != nil {
		return managed, nil
	}
	err = k.c.store.Update(func(st *state) error {
		key = k.c.awsManagedKey(st, s.Region, "secretsmanager")
		return nil
	})
	return key, err
}

// secretKey returns the key ID for a secret's KmsKeyId. "" means the AWS managed key.
func (k *call) secretKey(id string) (string, error) {
	if id == "" || id == "alias/aws/secretsmanager" {
		return "", nil
	}
	key := k.st.findKey(k.region, id)
	if key == nil || key.AWSManaged != "" && key.AWSManaged != "secretsmanager" {
		return "", wire.Errorf(codeInvalidParam, "KmsKeyId: %s: no such customer managed key", clip(id))
	}
	if key.AWSManaged != "" {
		return "", nil
	}
	return key.ID, nil
}

// updateSecret changes a secret. It fails if the secret no longer exists.
func (c *Cloud) updateSecret(arn string, change func(*state, *secret) error) error {
	return c.store.Update(func(st *state) error {
		s := st.Secrets[arn]
		if s == nil {
			return errNoSecret()
		}
		return change(st, s)
	})
}
