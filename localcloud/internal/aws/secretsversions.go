package aws

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"dbtier/localcloud/internal/aws/wire"
)

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

// The staging labels that Secrets Manager moves.
const (
	stageCurrent  = "AWSCURRENT"
	stagePrevious = "AWSPREVIOUS"
	stagePending  = "AWSPENDING"
)

// stage returns the version with a staging label, or nil.
func (s *secret) stage(label string) *secretVersion {
	for _, v := range s.Versions {
		if slices.Contains(v.Stages, label) {
			return v
		}
	}
	return nil
}

// promote makes a version AWSCURRENT and removes AWSPENDING from it. The version that was AWSCURRENT becomes
// AWSPREVIOUS.
func (s *secret) promote(id string) {
	v := s.Versions[id]
	v.Stages = slices.DeleteFunc(v.Stages, func(l string) bool { return l == stagePending })
	old := s.stage(stageCurrent)
	if old != nil && old.ID == id {
		return
	}
	s.unlabel(stageCurrent)
	s.unlabel(stagePrevious)
	v.Stages = append(v.Stages, stageCurrent)
	if old != nil {
		old.Stages = append(old.Stages, stagePrevious)
	}
	s.dropDeprecated()
}

func (s *secret) unlabel(label string) {
	for _, v := range s.Versions {
		v.Stages = slices.DeleteFunc(v.Stages, func(l string) bool { return l == label })
	}
}

// maxVersions is the number of versions that a secret keeps. AWS removes versions without a label when there are more
// than about a hundred.
const maxVersions = 100

func (s *secret) dropDeprecated() {
	old := slices.SortedFunc(maps.Values(s.Versions),
		func(a, b *secretVersion) int { return a.Created.Compare(b.Created) })
	for _, v := range old {
		if len(s.Versions) <= maxVersions {
			return
		}
		if len(v.Stages) == 0 {
			delete(s.Versions, v.ID)
		}
	}
}
