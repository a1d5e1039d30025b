package aws

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"dbtier/localcloud/internal/aws/iam"
	"dbtier/localcloud/internal/aws/wire"
	"dbtier/validation"
)

type versionOutput struct {
	ARN           string
	Name          string
	VersionID     string   `json:"VersionId,omitempty"`
	VersionStages []string `json:",omitempty"`
}

func (k *call) createSecret(in struct {
	Name               string
	ClientRequestToken string
	Description        string
	KmsKeyID           string `json:"KmsKeyId"`
	SecretString       *string
	SecretBinary       []byte
	Tags               []tag
},
) (any, error) {
	if !validation.SecretName.Matches(in.Name) {
		return nil, wire.Errorf(codeInvalidParam,
			"Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@ "+
				"(! is for managed secrets)")
	}
	tags, err := readTags(in.Tags)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(checkDescription(in.Description), checkValue(in.SecretString, in.SecretBinary,
		false)); err != nil {
		return nil, err
	}
	id, err := versionID(in.ClientRequestToken)
	if err != nil {
		return nil, err
	}
	s := &secret{
		ARN: secretARN(k.region, in.Name, "-"+pick(upper+lower+decimal, 6)), Name: in.Name, Region: k.region,
		Description: in.Description, Tags: tags,
		Created: k.c.now(), Changed: k.c.now(), Versions: map[string]*secretVersion{},
	}
	err = k.allow("secretsmanager:CreateSecret", s.ARN, func(ctx iam.Context) {
		ctx.Set("secretsmanager:Name", in.Name)
		k.secretSettings(ctx, in.Description, in.KmsKeyID)
		requestTagKeys(ctx, tags)
	})
	if err != nil {
		return nil, err
	}
	if len(tags) > 0 {
		if err := k.allow("secretsmanager:TagResource", s.ARN,
			func(ctx iam.Context) { requestTagKeys(ctx, tags) }); err != nil {
			return nil, err
		}
	}
	if s.KMSKeyID, err = k.secretKey(in.KmsKeyID); err != nil {
		return nil, err
	}
	if err := k.decryptable(s, id, "kms:GenerateDataKey", "kms:Decrypt"); err != nil {
		return nil, err
	}
	err = k.c.store.Update(func(st *state) error {
		if old := st.findSecret(k.region, in.Name); old != nil {
			switch v := old.Versions[id]; {
			case old.DeletionDate != nil:
				return wire.Errorf(codeInvalidRequest,
					"You can't create this secret because a secret with this name is already scheduled for deletion.")
			case v != nil && v.String != nil && in.SecretString != nil && *v.String == *in.SecretString:
				s = old // the request was repeated
				return nil
			}
			return wire.Errorf("ResourceExistsException", "The operation failed because the secret %s already exists.",
				in.Name)
		}
		if in.SecretString != nil || in.SecretBinary != nil {
			if err := s.putVersion(id, in.SecretString, in.SecretBinary, []string{stageCurrent},
				k.c.now()); err != nil {
				return err
			}
		}
		st.Secrets[s.ARN] = s
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := versionOutput{ARN: s.ARN, Name: s.Name}
	if len(s.Versions) > 0 {
		out.VersionID = id
	}
	return out, nil
}

func checkDescription(text string) error {
	const most = 2048
	if n := utf8.RuneCountInString(text); n > most {
		return wire.Errorf(codeInvalidParam, "Description: has %d characters: must have at most %d", n, most)
	}
	return nil
}

// secretSettings sets the condition keys of the settings that a request gives to a secret.
func (k *call) secretSettings(ctx iam.Context, description, keyID string) {
	if description != "" {
		ctx.Set("secretsmanager:Description", description)
	}
	if keyID != "" {
		ctx.Set("secretsmanager:KmsKeyId", keyID)
		if key := k.st.findKey(k.region, keyID); key != nil {
			ctx.Set("secretsmanager:KmsKeyArn", key.arn())
		}
	}
}

func (k *call) putSecretValue(in struct {
	SecretID           string `json:"SecretId"`
	ClientRequestToken string
	SecretString       *string
	SecretBinary       []byte
	VersionStages      []string
},
) (any, error) {
	s, err := k.secretFor("PutSecretValue", in.SecretID, nil)
	if err != nil {
		return nil, err
	}
	id, err := versionID(in.ClientRequestToken)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(alive(s), unmanaged(s, "put a value into"),
		checkValue(in.SecretString, in.SecretBinary, true)); err != nil {
		return nil, err
	}
	if err := k.decryptable(s, id, "kms:GenerateDataKey", "kms:Decrypt"); err != nil {
		return nil, err
	}
	if len(in.VersionStages) == 0 {
		in.VersionStages = []string{stageCurrent}
	}
	out := versionOutput{ARN: s.ARN, Name: s.Name, VersionID: id}
	err = k.c.updateSecret(s.ARN, func(_ *state, s *secret) error {
		if err := s.putVersion(id, in.SecretString, in.SecretBinary, in.VersionStages, k.c.now()); err != nil {
			return err
		}
		out.VersionStages = s.Versions[id].Stages
		return nil
	})
	return out, err
}

func (k *call) updateSecret(in struct {
	SecretID           string `json:"SecretId"`
	ClientRequestToken string
	Description        *string
	KmsKeyID           *string `json:"KmsKeyId"`
	SecretString       *string
	SecretBinary       []byte
},
) (any, error) {
	s, err := k.secretFor("UpdateSecret", in.SecretID, func(ctx iam.Context) {
		k.secretSettings(ctx, or(in.Description, ""), or(in.KmsKeyID, ""))
	})
	if err != nil {
		return nil, err
	}
	id, err := versionID(in.ClientRequestToken)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(alive(s), unmanaged(s, "update"), checkDescription(or(in.Description, "")),
		checkValue(in.SecretString, in.SecretBinary, false)); err != nil {
		return nil, err
	}
	changed := *s
	if in.KmsKeyID != nil {
		if changed.KMSKeyID, err = k.secretKey(*in.KmsKeyID); err != nil {
			return nil, err
		}
	}
	value := in.SecretString != nil || in.SecretBinary != nil
	if value || changed.KMSKeyID != s.KMSKeyID {
		if err := k.decryptable(&changed, id, "kms:GenerateDataKey", "kms:Decrypt"); err != nil {
			return nil, err
		}
	}
	out := versionOutput{ARN: s.ARN, Name: s.Name}
	err = k.c.updateSecret(s.ARN, func(_ *state, s *secret) error {
		s.KMSKeyID = changed.KMSKeyID
		s.Changed = k.c.now()
		if in.Description != nil {
			s.Description = *in.Description
		}
		if !value {
			return nil
		}
		out.VersionID = id
		return s.putVersion(id, in.SecretString, in.SecretBinary, []string{stageCurrent}, k.c.now())
	})
	return out, err
}

func (k *call) deleteSecret(in struct {
	SecretID                   string `json:"SecretId"`
	RecoveryWindowInDays       *int
	ForceDeleteWithoutRecovery bool
},
) (any, error) {
	window := 30
	if in.RecoveryWindowInDays != nil {
		window = *in.RecoveryWindowInDays
	}
	s, err := k.secretFor("DeleteSecret", in.SecretID, func(ctx iam.Context) {
		ctx.Set("secretsmanager:ForceDeleteWithoutRecovery", strconv.FormatBool(in.ForceDeleteWithoutRecovery))
		if !in.ForceDeleteWithoutRecovery {
			ctx.Set("secretsmanager:RecoveryWindowInDays", strconv.Itoa(window))
		}
	})
	switch {
	case err != nil:
		return nil, err
	case in.ForceDeleteWithoutRecovery && in.RecoveryWindowInDays != nil:
		return nil, wire.Errorf(codeInvalidParam,
			"You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
	case window < 7 || window > 30:
		return nil, wire.Errorf(codeInvalidParam,
			"RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
	}
	if err := unmanaged(s, "delete"); err != nil {
		return nil, err
	}
	when := k.c.now()
	err = k.c.store.Update(func(st *state) error {
		s := st.Secrets[s.ARN]
		if s == nil {
			return errNoSecret()
		}
		if in.ForceDeleteWithoutRecovery {
			delete(st.Secrets, s.ARN)
			return nil
		}
		if err := alive(s); err != nil {
			return err
		}
		when = when.AddDate(0, 0, window)
		s.DeletionDate = &when
		return nil
	})
	return struct {
		ARN, Name    string
		DeletionDate wire.Time
	}{s.ARN, s.Name, wire.Time{Time: when}}, err
}

func (k *call) restoreSecret(in struct {
	SecretID string `json:"SecretId"`
},
) (any, error) {
	s, err := k.secretFor("RestoreSecret", in.SecretID, nil)
	if err != nil {
		return nil, err
	}
	err = k.c.updateSecret(s.ARN, func(_ *state, s *secret) error { s.DeletionDate = nil; return nil })
	return versionOutput{ARN: s.ARN, Name: s.Name}, err
}

func (k *call) tagSecret(in struct {
	SecretID string `json:"SecretId"`
	Tags     []tag
},
) (any, error) {
	if in.Tags == nil {
		return nil, wire.Errorf(codeInvalidParam, "You must provide Tags")
	}
	tags, err := readTags(in.Tags)
	if err != nil {
		return nil, err
	}
	s, err := k.secretFor("TagResource", in.SecretID, func(ctx iam.Context) { requestTagKeys(ctx, tags) })
	if err != nil {
		return nil, err
	}
	return nil, k.c.updateSecret(s.ARN, func(_ *state, s *secret) error {
		if s.Tags == nil {
			s.Tags = map[string]string{}
		}
		for key, v := range tags {
			s.Tags[key] = v
		}
		if len(s.Tags) > 50 {
			return wire.Errorf("LimitExceededException", "a secret has at most 50 tags")
		}
		return nil
	})
}

func (k *call) untagSecret(in struct {
	SecretID string `json:"SecretId"`
	TagKeys  []string
},
) (any, error) {
	if in.TagKeys == nil {
		return nil, wire.Errorf(codeInvalidParam, "You must provide TagKeys")
	}
	s, err := k.secretFor("UntagResource", in.SecretID, func(ctx iam.Context) { ctx.Set("aws:TagKeys", in.TagKeys...) })
	if err != nil {
		return nil, err
	}
	return nil, k.c.updateSecret(s.ARN, func(_ *state, s *secret) error {
		for _, key := range in.TagKeys {
			if strings.HasPrefix(strings.ToLower(key), "aws:") {
				return wire.Errorf(codeInvalidParam, "tag key %q: the prefix aws: is reserved for system use",
					clip(key))
			}
			delete(s.Tags, key)
		}
		return nil
	})
}
