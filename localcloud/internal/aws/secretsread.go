package aws

import (
	"errors"
	"slices"
	"strings"
	"time"

	"dbtier/localcloud/internal/aws/iam"
	"dbtier/localcloud/internal/aws/wire"
)

type getSecretValueInput struct{ SecretID, VersionID, VersionStage string }

// secretValue is one version of a secret with its value.
type secretValue struct {
	ARN           string
	Name          string
	VersionID     string  `json:"VersionId"`
	SecretBinary  []byte  `json:",omitempty"`
	SecretString  *string `json:",omitempty"`
	VersionStages []string
	CreatedDate   wire.Time
}

func (k *call) getSecretValue(in struct {
	SecretID     string `json:"SecretId"`
	VersionID    string `json:"VersionId"`
	VersionStage string
},
) (any, error) {
	return k.readSecret(getSecretValueInput(in))
}

func (k *call) readSecret(in getSecretValueInput) (*secretValue, error) {
	s, err := k.secretFor("GetSecretValue", in.SecretID, func(ctx iam.Context) {
		stage := in.VersionStage
		if stage == "" && in.VersionID == "" {
			stage = stageCurrent
		}
		if stage != "" {
			ctx.Set("secretsmanager:VersionStage", stage)
		}
		if in.VersionID != "" {
			ctx.Set("secretsmanager:VersionId", in.VersionID)
		}
	})
	if err != nil {
		return nil, err
	}
	if err := alive(s); err != nil {
		return nil, err
	}
	v, err := chooseVersion(s, in.VersionID, in.VersionStage)
	if err != nil {
		return nil, err
	}
	if err := k.decryptable(s, v.ID, "kms:Decrypt"); err != nil {
		return nil, err
	}
	k.c.touchSecret(s)
	return &secretValue{
		ARN: s.ARN, Name: s.Name, VersionID: v.ID, SecretBinary: v.Binary, SecretString: v.String,
		VersionStages: v.Stages,
		CreatedDate:   wire.Time{Time: v.Created},
	}, nil
}

// touchSecret records the day of the last access. AWS records no finer time either, so most reads write nothing.
func (c *Cloud) touchSecret(s *secret) {
	day := c.now().Truncate(24 * time.Hour)
	if s.Accessed != nil && s.Accessed.Equal(day) {
		return
	}
	err := c.store.Update(func(st *state) error {
		if s := st.Secrets[s.ARN]; s != nil {
			s.Accessed = &day
		}
		return nil
	})
	if err != nil {
		c.log.Error("recording the access to a secret", "secret", s.Name, "error", err)
	}
}

func (k *call) batchGetSecretValue(in struct {
	SecretIDList []string `json:"SecretIdList"`
	Filters      []secretFilter
	MaxResults   int
	NextToken    string
},
) (any, error) {
	if err := k.allow("secretsmanager:BatchGetSecretValue", "*", nil); err != nil {
		return nil, err
	}
	out := struct {
		SecretValues []*secretValue
		Errors       []map[string]string
		NextToken    string `json:",omitempty"`
	}{SecretValues: []*secretValue{}, Errors: []map[string]string{}}
	ids := in.SecretIDList
	switch {
	case len(ids) > 0 && len(in.Filters) > 0:
		return nil, wire.Errorf(codeInvalidParam, "Either 'SecretIdList' or 'Filters' must be provided, but not both.")
	case len(ids) == 0 && len(in.Filters) == 0:
		return nil, wire.Errorf(codeInvalidParam, "Either 'SecretIdList' or 'Filters' must be provided.")
	case len(ids) > 20:
		return nil, wire.Errorf(codeInvalidParam, "SecretIdList: at most 20 secrets")
	case len(ids) == 0:
		if err := k.allow("secretsmanager:ListSecrets", "*", nil); err != nil {
			return nil, err
		}
		found, err := filterSecrets(k.st, k.region, in.Filters, false)
		if err != nil {
			return nil, err
		}
		page, next, err := paginate(secretsPaging, found, in.MaxResults, 20, in.NextToken,
			func(s *secret) string { return s.ARN })
		if err != nil {
			return nil, err
		}
		out.NextToken = next
		for _, s := range page {
			ids = append(ids, s.ARN)
		}
	}
	for _, id := range ids {
		v, err := k.readSecret(getSecretValueInput{SecretID: id})
		var refused *wire.Error
		switch {
		case errors.As(err, &refused):
			code := refused.Code
			if code == "AccessDenied" {
				code = "AccessDeniedException"
			}
			out.Errors = append(out.Errors, map[string]string{
				"SecretId": id, "ErrorCode": code, "Message": refused.Message,
			})
		case err != nil:
			return nil, err
		default:
			out.SecretValues = append(out.SecretValues, v)
		}
	}
	return out, nil
}

// secretDescription is a secret without its values, for DescribeSecret and ListSecrets.
type secretDescription struct {
	ARN              string
	Name             string
	Description      string              `json:",omitempty"`
	KmsKeyID         string              `json:"KmsKeyId,omitempty"`
	RotationEnabled  bool                `json:",omitempty"`
	RotationRules    *rotationRules      `json:",omitempty"`
	LastRotatedDate  wire.Time           `json:",omitzero"`
	LastChangedDate  wire.Time           `json:",omitzero"`
	LastAccessedDate wire.Time           `json:",omitzero"`
	DeletedDate      wire.Time           `json:",omitzero"`
	NextRotationDate wire.Time           `json:",omitzero"`
	CreatedDate      wire.Time           `json:",omitzero"`
	Tags             []tag               `json:",omitempty"`
	OwningService    string              `json:",omitempty"`
	VersionStages    map[string][]string `json:"VersionIdsToStages,omitempty"`
	SecretVersions   map[string][]string `json:"SecretVersionsToStages,omitempty"`
}

func timeOf(t *time.Time) wire.Time {
	if t == nil {
		return wire.Time{}
	}
	return wire.Time{Time: *t}
}

func describe(st *state, s *secret) secretDescription {
	d := secretDescription{
		ARN: s.ARN, Name: s.Name, Description: s.Description, RotationEnabled: s.RotationEnabled, Tags: tagList(s.Tags),
		OwningService:   s.Owner,
		LastRotatedDate: timeOf(s.Rotated), LastChangedDate: wire.Time{Time: s.Changed},
		LastAccessedDate: timeOf(s.Accessed),
		DeletedDate:      timeOf(s.DeletionDate),
		NextRotationDate: timeOf(s.NextRotation), CreatedDate: wire.Time{Time: s.Created},
	}
	if key := st.Keys[s.KMSKeyID]; key != nil {
		d.KmsKeyID = key.arn()
	}
	if s.RotationEnabled {
		d.RotationRules = &rotationRules{AutomaticallyAfterDays: s.RotationDays}
	}
	return d
}

func stages(s *secret) map[string][]string {
	out := map[string][]string{}
	for _, v := range s.Versions {
		if len(v.Stages) > 0 {
			out[v.ID] = v.Stages
		}
	}
	return out
}

func (k *call) describeSecret(in struct {
	SecretID string `json:"SecretId"`
},
) (any, error) {
	s, err := k.secretFor("DescribeSecret", in.SecretID, nil)
	if err != nil {
		return nil, err
	}
	d := describe(k.st, s)
	d.VersionStages = stages(s)
	return d, nil
}

func (k *call) getResourcePolicy(in struct {
	SecretID string `json:"SecretId"`
},
) (any, error) {
	s, err := k.secretFor("GetResourcePolicy", in.SecretID, nil)
	if err != nil {
		return nil, err
	}
	return struct{ ARN, Name string }{s.ARN, s.Name}, nil
}

func (k *call) listSecretVersionIDs(in struct {
	SecretID          string `json:"SecretId"`
	IncludeDeprecated bool
	MaxResults        int
	NextToken         string
},
) (any, error) {
	s, err := k.secretFor("ListSecretVersionIds", in.SecretID, nil)
	if err != nil {
		return nil, err
	}
	var all []*secretVersion
	for _, id := range sortedKeys(s.Versions) {
		if v := s.Versions[id]; in.IncludeDeprecated || len(v.Stages) > 0 {
			all = append(all, v)
		}
	}
	page, next, err := paginate(secretsPaging, all, in.MaxResults, 100, in.NextToken,
		func(v *secretVersion) string { return v.ID })
	if err != nil {
		return nil, err
	}
	type version struct {
		VersionID     string `json:"VersionId"`
		VersionStages []string
		CreatedDate   wire.Time
		KmsKeyIDs     []string `json:"KmsKeyIds"`
	}
	out := struct {
		ARN, Name string
		Versions  []version
		NextToken string `json:",omitempty"`
	}{ARN: s.ARN, Name: s.Name, NextToken: next, Versions: []version{}}
	keys := []string{"DefaultEncryptionKey"}
	if key := k.st.Keys[s.KMSKeyID]; key != nil {
		keys = []string{key.arn()}
	}
	for _, v := range page {
		out.Versions = append(out.Versions, version{v.ID, v.Stages, wire.Time{Time: v.Created}, keys})
	}
	return out, nil
}

type secretFilter struct {
	Key    string
	Values []string
}

func (k *call) listSecrets(in struct {
	Filters                []secretFilter
	IncludePlannedDeletion bool
	MaxResults             int
	NextToken              string
	SortOrder              string
},
) (any, error) {
	if err := k.allow("secretsmanager:ListSecrets", "*", nil); err != nil {
		return nil, err
	}
	found, err := filterSecrets(k.st, k.region, in.Filters, in.IncludePlannedDeletion)
	if err != nil {
		return nil, err
	}
	switch in.SortOrder {
	case "asc":
	case "", "desc":
		slices.Reverse(found)
	default:
		return nil, wire.Errorf(codeInvalidParam, "SortOrder: want asc or desc")
	}
	page, next, err := paginate(secretsPaging, found, in.MaxResults, 100, in.NextToken,
		func(s *secret) string { return s.ARN })
	if err != nil {
		return nil, err
	}
	out := struct {
		SecretList []secretDescription
		NextToken  string `json:",omitempty"`
	}{SecretList: []secretDescription{}, NextToken: next}
	for _, s := range page {
		d := describe(k.st, s)
		d.SecretVersions = stages(s)
		out.SecretList = append(out.SecretList, d)
	}
	return out, nil
}

// filterSecrets returns a region's secrets that match all filters, in the order of their creation. A filter matches if
// one of its values does. A leading ! negates a value.
func filterSecrets(st *state, region string, filters []secretFilter, deleted bool) ([]*secret, error) {
	for _, f := range filters {
		if !slices.Contains([]string{
			"description", "name", "tag-key", "tag-value", "primary-region", "owning-service",
			"all",
		}, f.Key) {
			return nil, wire.Errorf("ValidationException",
				"filter key %q: want description, name, tag-key, tag-value, primary-region, owning-service or all",
				clip(f.Key))
		}
	}
	var out []*secret
	for _, s := range st.Secrets {
		if s.Region != region || s.DeletionDate != nil && !deleted {
			continue
		}
		if !slices.ContainsFunc(filters, func(f secretFilter) bool { return !f.matches(s) }) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b *secret) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ARN, b.ARN)
	})
	return out, nil
}

func (f secretFilter) matches(s *secret) bool {
	var texts []string
	fold, prefix := false, true
	switch f.Key {
	case "name":
		texts = []string{s.Name}
	case "description":
		texts, fold = []string{s.Description}, true
	case "tag-key":
		texts = sortedKeys(s.Tags)
	case "tag-value":
		for _, v := range s.Tags {
			texts = append(texts, v)
		}
	case "primary-region":
		texts = []string{s.Region}
	case "owning-service":
		texts = []string{s.Owner}
	case "all":
		fold, prefix = true, false
		texts = []string{s.Name, s.Description, s.Owner, s.Region}
		for key, v := range s.Tags {
			texts = append(texts, key, v)
		}
		texts = []string{strings.Join(texts, "\n")} // each word may match another attribute
	}
	return slices.ContainsFunc(f.Values, func(want string) bool {
		want, negated := strings.CutPrefix(want, "!")
		if fold {
			want = strings.ToLower(want)
		}
		found := slices.ContainsFunc(texts, func(text string) bool {
			if fold {
				text = strings.ToLower(text)
			}
			if prefix {
				return strings.HasPrefix(text, want)
			}
			return !slices.ContainsFunc(strings.Fields(want),
				func(word string) bool { return !strings.Contains(text, word) })
		})
		return found != negated
	})
}
