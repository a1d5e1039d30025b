package aws

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"dbtier/localcloud/internal/aws/iam"
	"dbtier/localcloud/internal/aws/wire"
	"dbtier/validation"
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

type tag struct{ Key, Value string }

func tagList(tags map[string]string) []tag {
	out := make([]tag, 0, len(tags))
	for _, k := range sortedKeys(tags) {
		out = append(out, tag{k, tags[k]})
	}
	return out
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
	if s.KMSKeyID == "" {
		return nil // the AWS managed key allows all principals of the account through Secrets Manager
	}
	key := k.st.Keys[s.KMSKeyID]
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

type getSecretValueInput struct{ SecretID, VersionID, VersionStage string }

// secretValue is one version of a secret with its value.
type secretValue struct {
	ARN           string
	Name          string
	VersionID     string `json:"VersionId"`
	SecretBinary  []byte `json:",omitempty"`
	SecretString  *string
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

func chooseVersion(s *secret, id, stage string) (*secretVersion, error) {
	if id != "" {
		v := s.Versions[id]
		switch {
		case v == nil || len(v.Stages) == 0:
			return nil, wire.Errorf(codeNotFound,
				"Secrets Manager can't find the specified secret value for VersionId: %s", clip(id))
		case stage != "" && !slices.Contains(v.Stages, stage):
			return nil, wire.Errorf(codeInvalidRequest,
				"You provided a VersionStage that is not associated to the provided VersionId.")
		}
		return v, nil
	}
	if stage == "" {
		stage = stageCurrent
	}
	v := s.stage(stage)
	if v == nil {
		return nil, wire.Errorf(codeNotFound,
			"Secrets Manager can't find the specified secret value for staging label: %s", clip(stage))
	}
	return v, nil
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
		page, next, err := paginate(found, in.MaxResults, 20, in.NextToken, func(s *secret) string { return s.ARN })
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

type rotationRules struct {
	AutomaticallyAfterDays int    `json:",omitempty"`
	Duration               string `json:",omitempty"`
	ScheduleExpression     string `json:",omitempty"`
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
	page, next, err := paginate(all, in.MaxResults, 100, in.NextToken, func(v *secretVersion) string { return v.ID })
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
	page, next, err := paginate(found, in.MaxResults, 100, in.NextToken, func(s *secret) string { return s.ARN })
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

// paginate cuts a page out of a list. The token names the last element of the page, so it stays valid when the list
// changes.
func paginate[T any](all []T, limit, most int, token string, id func(T) string) (page []T, next string, err error) {
	if limit == 0 {
		limit = most
	}
	if limit < 1 || limit > most {
		return nil, "", wire.Errorf(codeInvalidParam, "MaxResults: %d: must be between 1 and %d", limit, most)
	}
	start := 0
	if token != "" {
		last, err := base64.RawURLEncoding.DecodeString(token)
		at := slices.IndexFunc(all, func(t T) bool { return id(t) == string(last) })
		if err != nil || at < 0 {
			return nil, "", wire.Errorf("InvalidNextTokenException", "The NextToken value is invalid.")
		}
		start = at + 1
	}
	end := min(start+limit, len(all))
	if end < len(all) {
		next = base64.RawURLEncoding.EncodeToString([]byte(id(all[end-1])))
	}
	return all[start:end], next, nil
}

const maxSecretValue = 65536

// checkValue checks a value that is given as a string or as bytes.
func checkValue(text *string, binary []byte, needed bool) error {
	switch {
	case text != nil && binary != nil:
		return wire.Errorf(codeInvalidParam,
			"You can't specify both a binary secret value and a string secret value in the same secret.")
	case text == nil && binary == nil && needed:
		return wire.Errorf(codeInvalidRequest, "You must provide either SecretString or SecretBinary.")
	case text != nil && (*text == "" || len(*text) > maxSecretValue) || len(binary) > maxSecretValue:
		return wire.Errorf(codeInvalidParam, "the secret value must have 1 to %d bytes", maxSecretValue)
	}
	return nil
}

func versionID(token string) (string, error) {
	switch {
	case token == "":
		return randomUUID(), nil
	case len(token) < 32 || len(token) > 64:
		return "", wire.Errorf(codeInvalidParam, "ClientRequestToken must be 32-64 characters long.")
	}
	return token, nil
}

// putVersion adds a version. If the same token has already added one, it must have the same value.
func (s *secret) putVersion(id string, text *string, binary []byte, stages []string, now time.Time) error {
	if old := s.Versions[id]; old != nil {
		same := bytes.Equal(old.Binary, binary) && (old.String == nil) == (text == nil) &&
			(text == nil || *old.String == *text)
		if !same {
			return wire.Errorf("ResourceExistsException",
				"You can't use ClientRequestToken %s because that value is already in use for a version of secret %s.",
				id, s.ARN)
		}
		return nil
	}
	s.Versions[id] = &secretVersion{ID: id, String: text, Binary: binary, Created: now}
	for _, label := range stages {
		if label == stageCurrent {
			s.promote(id)
			continue
		}
		s.unlabel(label)
		s.Versions[id].Stages = append(s.Versions[id].Stages, label)
	}
	s.Changed = now
	s.dropDeprecated()
	return nil
}

func readTags(tags []tag) (map[string]string, error) {
	out := map[string]string{}
	for _, t := range tags {
		if _, twice := out[t.Key]; twice {
			return nil, wire.Errorf(codeInvalidParam, "Duplicate tag key %q", clip(t.Key))
		}
		out[t.Key] = t.Value
	}
	if err := checkTags(out); err != nil {
		return nil, wire.Errorf(codeInvalidParam, "%v", err)
	}
	return out, nil
}

// checkTags checks tags by the rules that all services share.
func checkTags(tags map[string]string) error {
	if len(tags) > 50 {
		return fmt.Errorf("tags: %d: at most 50", len(tags))
	}
	for _, k := range sortedKeys(tags) {
		switch {
		case k == "" || len(k) > 128:
			return fmt.Errorf("tag key %q: must have 1 to 128 characters", clip(k))
		case strings.HasPrefix(strings.ToLower(k), "aws:"):
			return fmt.Errorf("tag key %q: the prefix aws: is reserved for system use", clip(k))
		case len(tags[k]) > 256:
			return fmt.Errorf("tag %q: its value must have at most 256 characters", clip(k))
		}
	}
	return nil
}

func requestTagKeys(ctx iam.Context, tags map[string]string) {
	ctx.SetTags("aws:RequestTag", tags)
	if len(tags) > 0 {
		ctx.Set("aws:TagKeys", sortedKeys(tags)...)
	}
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
	if err := checkValue(in.SecretString, in.SecretBinary, false); err != nil {
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
		if in.Description != "" {
			ctx.Set("secretsmanager:Description", in.Description)
		}
		if in.KmsKeyID != "" {
			ctx.Set("secretsmanager:KmsKeyId", in.KmsKeyID)
		}
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

func (k *call) updateSecret(in struct {
	SecretID           string `json:"SecretId"`
	ClientRequestToken string
	Description        *string
	KmsKeyID           *string `json:"KmsKeyId"`
	SecretString       *string
	SecretBinary       []byte
},
) (any, error) {
	s, err := k.secretFor("UpdateSecret", in.SecretID, nil)
	if err != nil {
		return nil, err
	}
	id, err := versionID(in.ClientRequestToken)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(alive(s), unmanaged(s, "update"),
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

func (k *call) rotateSecret(in struct {
	SecretID           string `json:"SecretId"`
	ClientRequestToken string
	RotateImmediately  *bool
	RotationRules      *rotationRules
},
) (any, error) {
	now := in.RotateImmediately == nil || *in.RotateImmediately
	s, err := k.secretFor("RotateSecret", in.SecretID, func(ctx iam.Context) {
		ctx.Set("secretsmanager:RotateImmediately", strconv.FormatBool(now))
		ctx.Set("secretsmanager:ModifyRotationRules", strconv.FormatBool(in.RotationRules != nil))
	})
	if err != nil {
		return nil, err
	}
	if err := alive(s); err != nil {
		return nil, err
	}
	if s.Owner == "" {
		return nil, wire.Errorf(codeInvalidRequest,
			"No Lambda rotation function ARN is associated with this secret. (The local AWS stand-in rotates only "+
				"secrets "+
				"that RDS manages.)")
	}
	id, err := versionID(in.ClientRequestToken)
	if err != nil {
		return nil, err
	}
	if in.RotationRules != nil {
		days, err := in.RotationRules.days()
		if err != nil {
			return nil, err
		}
		err = k.c.updateSecret(s.ARN, func(_ *state, s *secret) error {
			next := k.c.now().AddDate(0, 0, days)
			s.RotationDays, s.RotationEnabled, s.NextRotation = days, true, &next
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	out := versionOutput{ARN: s.ARN, Name: s.Name}
	if now {
		if err := k.c.rotateMasterSecret(k.ctx, s.ARN, id); err != nil {
			return nil, err
		}
		out.VersionID = id
	}
	return out, nil
}

var rateForm = regexp.MustCompile(`^rate\((\d{1,4}) days?\)$`)

// days returns the interval of the rules. Cron expressions and hours are not modelled.
func (r rotationRules) days() (int, error) {
	n := r.AutomaticallyAfterDays
	switch {
	case r.Duration != "":
		return 0, wire.NotModelled("RotationRules.Duration of RotateSecret")
	case n != 0 && r.ScheduleExpression != "":
		return 0, wire.Errorf(codeInvalidParam, "You can't specify both AutomaticallyAfterDays and ScheduleExpression.")
	case r.ScheduleExpression != "":
		m := rateForm.FindStringSubmatch(r.ScheduleExpression)
		if m == nil {
			return 0, wire.NotModelled("the schedule expression %q of RotateSecret; use rate(N days)",
				clip(r.ScheduleExpression))
		}
		n, _ = strconv.Atoi(m[1])
	}
	if n < 1 || n > 1000 {
		return 0, wire.Errorf(codeInvalidParam, "AutomaticallyAfterDays: %d: must be between 1 and 1000", n)
	}
	return n, nil
}
