package aws

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"dbtier/localcloud/internal/aws/wire"
)

// rotationDays is the number of days between rotations of a master secret, RDS's default.
const rotationDays = 7

// masterSecretValue returns the JSON of a master secret. It has exactly these two members and no escaped characters
// such as \u0026.
func masterSecretValue(username, password string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(struct { //nolint:gosec // the value of a secret is what this makes
		Username string `json:"username"`
		Password string `json:"password"`
	}{username, password})
	return strings.TrimSuffix(b.String(), "\n")
}

func masterPassword(v *secretVersion) (string, error) {
	var m struct{ Password string }
	if v == nil || v.String == nil || json.Unmarshal([]byte(*v.String), &m) != nil || m.Password == "" {
		return "", errors.New("the master secret has no password")
	}
	return m.Password, nil
}

func (c *Cloud) newMasterSecret(st *state, i *dbInstance, key *kmsKey) string {
	now := c.now()
	name := "rds!db-" + randomUUID()
	next := now.AddDate(0, 0, rotationDays)
	value := masterSecretValue(i.MasterUsername, newMasterPassword())
	version := &secretVersion{ID: randomUUID(), String: &value, Created: now, Stages: []string{stageCurrent}}
	s := &secret{
		ARN: secretARN(i.Region, name, "-"+pick(upper+lower+decimal, 6)), Name: name, Region: i.Region,
		Description: "Secret associated with primary RDS DB instance: " + i.arn(), Owner: "rds",
		Tags:    map[string]string{"aws:secretsmanager:owningService": "rds", "aws:rds:primaryDBInstanceArn": i.arn()},
		Created: now, Changed: now, RotationEnabled: true, RotationDays: rotationDays, NextRotation: &next,
		Versions: map[string]*secretVersion{version.ID: version},
	}
	if key != nil && key.AWSManaged == "" {
		s.KMSKeyID = key.ID
	}
	st.Secrets[s.ARN] = s
	return s.ARN
}

// secretKeyARN returns the ARN of a secret's key. For the AWS managed key, which may not exist yet, it can be the ARN
// of its alias.
func (st *state) secretKeyARN(s *secret) string {
	if key := st.Keys[s.KMSKeyID]; key != nil {
		return key.arn()
	}
	if key := st.findKey(s.Region, "alias/aws/secretsmanager"); key != nil {
		return key.arn()
	}
	return "arn:aws:kms:" + s.Region + ":" + AccountID + ":alias/aws/secretsmanager"
}

// rotateMasterSecret sets a new password of the master user. As on RDS, PostgreSQL is changed first and AWSCURRENT
// after it, so for a moment the secret has the old password. If a version is AWSPENDING, an earlier rotation was
// interrupted, and this one finishes it.
func (c *Cloud) rotateMasterSecret(ctx context.Context, arn, versionID string) error {
	return c.run(ctx, "rotate the master secret", func(ctx context.Context) error {
		st := c.store.Read()
		for id, i := range st.Instances {
			if i.SecretARN == arn {
				return c.rotate(ctx, id, versionID)
			}
		}
		return wire.Errorf(codeInvalidRequest, "the DB instance of this secret no longer exists")
	})
}

func (c *Cloud) rotate(ctx context.Context, id, versionID string) error {
	defer c.locks.lock("db " + id)()
	started := c.now()
	done := false
	err := c.changeInstance(id, func(st *state, i *dbInstance) error {
		s := st.Secrets[i.SecretARN]
		switch {
		case s == nil:
			return errNoSecret()
		case versionID != "" && s.Versions[versionID] != nil &&
			slices.Contains(s.Versions[versionID].Stages, stageCurrent):
			done = true // the request was repeated
			return nil
		case i.Status != statusAvailable && i.Status != statusRotating:
			return i.unavailable()
		}
		key := st.Keys[s.KMSKeyID]
		if s.KMSKeyID != "" && (key == nil || key.keyState() != "Enabled") || c.isInForce(Fault{FaultRotation, id}) {
			i.SecretStatus = secretImpaired
			done = true
			return nil
		}
		if s.stage(stagePending) == nil {
			value := masterSecretValue(i.MasterUsername, newMasterPassword())
			if versionID == "" {
				versionID = randomUUID()
			}
			s.Versions[versionID] = &secretVersion{
				ID: versionID, String: &value, Created: c.now(),
				Stages: []string{stagePending},
			}
		}
		i.Status, i.SecretStatus = statusRotating, secretRotating
		return nil
	})
	if err != nil || done {
		return err
	}
	return c.finishRotation(ctx, id, started)
}

// finishRotation sets the pending version as the password, and then makes it the current version.
func (c *Cloud) finishRotation(ctx context.Context, id string, started time.Time) error {
	st := c.store.Read()
	i := st.Instances[id]
	s := st.Secrets[i.SecretARN]
	password, err := masterPassword(s.stage(stagePending))
	if err == nil {
		err = c.cfg.RDS.SetMasterPassword(ctx, i.Identifier, password)
	}
	c.pause(ctx, c.cfg.Latency.Rotate-c.now().Sub(started))
	if err != nil {
		note := c.changeInstance(id, func(_ *state, i *dbInstance) error {
			i.Status, i.SecretStatus = statusAvailable, secretImpaired
			return nil
		})
		return errors.Join(engineError("set the master password in", i.Identifier, err), note)
	}
	return c.changeInstance(id, func(st *state, i *dbInstance) error {
		now := c.now()
		s := st.Secrets[i.SecretARN]
		if v := s.stage(stagePending); v != nil {
			s.promote(v.ID)
		}
		next := now.AddDate(0, 0, s.RotationDays)
		s.Rotated, s.Changed, s.NextRotation = &now, now, &next
		i.Status, i.SecretStatus = statusAvailable, secretActive
		st.instanceEvent(now, i, eventCredentials)
		return nil
	})
}
