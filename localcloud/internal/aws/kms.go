package aws

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"dbtier/localcloud/internal/aws/iam"
	"dbtier/localcloud/internal/aws/wire"
)

// Properties of all keys here. KMS also makes condition keys of them.
const (
	keySpec   = "SYMMETRIC_DEFAULT"
	keyUsage  = "ENCRYPT_DECRYPT"
	keyOrigin = "AWS_KMS"
)

// findKey finds a key of a region by its ID, ARN, alias name or alias ARN.
func (st *state) findKey(region, id string) *kmsKey {
	prefix := "arn:aws:kms:" + region + ":" + AccountID + ":"
	if rest, ok := strings.CutPrefix(id, prefix); ok {
		id = strings.TrimPrefix(rest, "key/")
	}
	if strings.HasPrefix(id, "alias/") {
		a := st.Aliases[regional(region, id)]
		if a == nil {
			return nil
		}
		id = a.KeyID
	}
	if k := st.Keys[id]; k != nil && k.Region == region {
		return k
	}
	return nil
}

// awsManagedKey returns the key that a service uses if no key is named. It is created at its first use.
func (c *Cloud) awsManagedKey(st *state, region, service string) *kmsKey {
	name := "alias/aws/" + service
	if k := st.findKey(region, name); k != nil {
		return k
	}
	k := &kmsKey{
		ID: randomUUID(), Region: region, Created: c.now(), Enabled: true, Rotation: true, RotationDays: 365,
		AWSManaged:  service,
		Policy:      awsManagedPolicy(region, service),
		Description: "Default key that protects my data when no other key is defined (" + service + ")",
	}
	st.Keys[k.ID] = k
	st.Aliases[regional(region, name)] = &kmsAlias{Region: region, Name: name, KeyID: k.ID, Created: c.now()}
	return k
}

// conditionKeys sets the condition keys that come from the key. Every request on it has them.
func (k *kmsKey) conditionKeys(ctx iam.Context) {
	ctx.Set("kms:KeySpec", keySpec)
	ctx.Set("kms:KeyUsage", keyUsage)
	ctx.Set("kms:KeyOrigin", keyOrigin)
	ctx.SetTags("aws:ResourceTag", k.Tags)
}

type keyInputs struct {
	Description  *string           `json:"description"`
	Policy       *string           `json:"policy"`
	Window       *int              `json:"deletionWindowInDays"`
	Rotation     *bool             `json:"enableKeyRotation"`
	RotationDays *int              `json:"rotationPeriodInDays"`
	Enabled      *bool             `json:"isEnabled"`
	Bypass       *bool             `json:"bypassPolicyLockoutSafetyCheck"`
	Spec         *string           `json:"customerMasterKeySpec"`
	Usage        *string           `json:"keyUsage"`
	Tags         map[string]string `json:"tags"`
	TagsAll      map[string]string `json:"tagsAll"`
}

var keyRefused = map[string]string{
	"customKeyStoreId": "custom key stores", "xksKeyId": "external key stores", "multiRegion": "multi-Region keys",
}

// merge sets the key's properties from the inputs.
func (in keyInputs) merge(c *Cloud, st *state, k *kmsKey, f *faults) {
	k.Description, k.Tags = or(in.Description, ""), in.Tags
	k.Enabled, k.Rotation, k.RotationDays = or(in.Enabled, true), or(in.Rotation, false), or(in.RotationDays, 365)
	k.DeletionWindow = or(in.Window, 30)
	if k.DeletionWindow < 7 || k.DeletionWindow > 30 {
		f.add("ValidationException", "deletionWindowInDays", "%d: must be between 7 and 30", k.DeletionWindow)
	}
	if k.RotationDays < 90 || k.RotationDays > 2560 {
		f.add("ValidationException", "rotationPeriodInDays", "%d: must be between 90 and 2560", k.RotationDays)
	}
	if in.RotationDays != nil && !k.Rotation {
		f.add("ValidationException", "rotationPeriodInDays", "requires enableKeyRotation")
	}
	if len(k.Description) > 8192 {
		f.add("ValidationException", "description", "must have at most 8192 characters")
	}
	if s := or(in.Spec, keySpec); s != keySpec {
		f.notModelled("customerMasterKeySpec", "keys of spec %q", s)
	}
	if u := or(in.Usage, keyUsage); u != keyUsage {
		f.notModelled("keyUsage", "keys for %q", u)
	}
	if err := checkTags(in.Tags); err != nil {
		f.add("TagException", "tags", "%v", err)
	}
	if policy := or(in.Policy, defaultKeyPolicy); policy != k.Policy {
		k.Policy = policy
		c.checkKeyPolicy(st, k, or(in.Bypass, false), f)
	}
}

func createKey(_ context.Context, c *Cloud, r resourceRequest) (*resource, error) {
	f := &faults{what: label(r)}
	in := decodeInputs[keyInputs](r.Inputs, keyRefused, f)
	return c.changed(func(st *state) (*resource, error) {
		// A key has no name that could identify it. Adopt a key that the control API created for the same resource with
		// the same inputs, if nothing refers to it: its create was not recorded.
		for _, old := range st.Keys {
			if old.Region == r.Region && old.DeletionDate == nil && old.Origin.adoptable(r.Name, r.Inputs) &&
				!st.keyInUse(old) {
				return old.resource(), nil
			}
		}
		k := &kmsKey{ID: randomUUID(), Region: r.Region, Created: c.now(), Origin: &origin{r.Name, r.Inputs}}
		in.merge(c, st, k, f)
		if err := f.err(); err != nil {
			return nil, err
		}
		st.Keys[k.ID] = k
		return k.resource(), nil
	})
}

// keyInUse reports whether anything refers to a key.
func (st *state) keyInUse(k *kmsKey) bool {
	for _, a := range st.Aliases {
		if a.KeyID == k.ID {
			return true
		}
	}
	for _, s := range st.Secrets {
		if s.KMSKeyID == k.ID {
			return true
		}
	}
	for _, g := range st.LogGroups {
		if g.KMSKeyARN == k.arn() {
			return true
		}
	}
	for _, i := range st.Instances {
		if i.KMSKeyARN == k.arn() || i.PIKMSKeyARN == k.arn() {
			return true
		}
	}
	return slices.ContainsFunc(sortedKeys(st.Snapshots),
		func(id string) bool { return st.Snapshots[id].KMSKeyARN == k.arn() })
}

func (k *kmsKey) resource() *resource {
	inputs := map[string]any{}
	if k.Origin != nil {
		inputs = k.Origin.Inputs
	}
	out := &resource{ID: k.ID, Inputs: echo(inputs, nil), Outputs: echo(inputs, map[string]any{
		"arn": k.arn(), "keyId": k.ID, "policy": k.Policy, "description": k.Description,
		"enableKeyRotation": k.Rotation, "isEnabled": k.Enabled,
		"multiRegion": false, "customerMasterKeySpec": keySpec, "keyUsage": keyUsage,
		"tags": anyMap(k.Tags), "tagsAll": anyMap(k.Tags),
	})}
	if k.Rotation {
		out.Outputs["rotationPeriodInDays"] = k.RotationDays
	}
	return out
}

func readKey(c *Cloud, r resourceRequest) (*resource, error) {
	k := c.store.Read().findKey(r.Region, r.ID)
	if k == nil || k.DeletionDate != nil || k.AWSManaged != "" {
		return nil, nil
	}
	return k.resource(), nil
}

func updateKey(_ context.Context, c *Cloud, r resourceRequest) (*resource, error) {
	f := &faults{what: label(r)}
	in := decodeInputs[keyInputs](r.Inputs, keyRefused, f)
	return c.changed(func(st *state) (*resource, error) {
		k := st.findKey(r.Region, r.ID)
		if k == nil || k.DeletionDate != nil || k.AWSManaged != "" {
			return nil, wire.Status(http.StatusNotFound, "NotFoundException", "Key '%s' does not exist", r.ID)
		}
		in.merge(c, st, k, f)
		k.Origin = reinput(k.Origin, r.Inputs)
		return k.resource(), f.err()
	})
}

// removeKey schedules the deletion, because KMS cannot delete a key at once. Until that date the key exists but cannot
// be used.
func removeKey(_ context.Context, c *Cloud, r resourceRequest) error {
	return c.store.Update(func(st *state) error {
		k := st.findKey(r.Region, r.ID)
		if k == nil || k.DeletionDate != nil {
			return nil
		}
		when := c.now().AddDate(0, 0, k.DeletionWindow)
		k.DeletionDate, k.Enabled = &when, false
		return nil
	})
}
