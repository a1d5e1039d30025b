package aws

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"dbtier/localcloud/internal/aws/iam"
	"dbtier/localcloud/internal/aws/wire"
	"dbtier/validation"
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
	if s := or(in.Spec, "SYMMETRIC_DEFAULT"); s != "SYMMETRIC_DEFAULT" {
		f.notModelled("customerMasterKeySpec", "keys of spec %q", s)
	}
	if u := or(in.Usage, "ENCRYPT_DECRYPT"); u != "ENCRYPT_DECRYPT" {
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
	d := iam.Evaluate(admin.Principal,
		iam.Request{
			Action: "kms:PutKeyPolicy", Resource: k.arn(),
			Context: c.conditionContext(admin, k.Region, "", ""),
		},
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

func createKey(_ context.Context, c *Cloud, r resourceRequest) (*resource, error) {
	f := &faults{what: label(r)}
	in := decodeInputs[keyInputs](r.Inputs, keyRefused, f)
	return c.changed(func(st *state) (*resource, error) {
		// A key has no name that could identify it. Adopt a key that the control API created for the same resource with
		// the same inputs, if nothing refers to it: its create was not recorded.
		for _, old := range st.Keys {
			if old.Region == r.Region && old.DeletionDate == nil && old.Door.adoptable(r.Name, r.Inputs) &&
				!st.keyInUse(old) {
				return old.resource(), nil
			}
		}
		k := &kmsKey{ID: randomUUID(), Region: r.Region, Created: c.now(), Door: &door{r.Name, r.Inputs}}
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
	if k.Door != nil {
		inputs = k.Door.Inputs
	}
	out := &resource{ID: k.ID, Inputs: echo(inputs, nil), Outputs: echo(inputs, map[string]any{
		"arn": k.arn(), "keyId": k.ID, "policy": k.Policy, "description": k.Description,
		"enableKeyRotation": k.Rotation, "isEnabled": k.Enabled,
		"multiRegion": false, "customerMasterKeySpec": "SYMMETRIC_DEFAULT", "keyUsage": "ENCRYPT_DECRYPT",
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
		k.Door = reinput(k.Door, r.Inputs)
		return k.resource(), f.err()
	})
}

func reinput(d *door, inputs map[string]any) *door {
	if d == nil {
		return &door{Inputs: inputs}
	}
	return &door{d.Name, inputs}
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

type aliasInputs struct {
	Name   *string `json:"name"`
	Target *string `json:"targetKeyId"`
}

var namePrefixRefused = map[string]string{"namePrefix": "names generated from a prefix: set name"}

func (in aliasInputs) target(st *state, region string, f *faults) *kmsKey {
	k := st.findKey(region, or(in.Target, ""))
	if k == nil || strings.HasPrefix(or(in.Target, ""), "alias/") {
		f.add("NotFoundException", "targetKeyId", "%q: no such key", or(in.Target, ""))
		return &kmsKey{}
	}
	if k.DeletionDate != nil {
		f.add("KMSInvalidStateException", "targetKeyId", "%s is pending deletion.", k.arn())
	}
	return k
}

func createAlias(_ context.Context, c *Cloud, r resourceRequest) (*resource, error) {
	f := &faults{what: label(r)}
	in := decodeInputs[aliasInputs](r.Inputs, namePrefixRefused, f)
	name := or(in.Name, "")
	switch {
	case !validation.KeyAlias.Matches(name):
		f.add("ValidationException", "name", "%q: must be alias/ and 1 to 250 of letters, digits, / _ -", name)
	case strings.HasPrefix(name, "alias/aws/"):
		f.add("NotAuthorizedException", "name", "%q: aliases that begin with alias/aws/ are reserved for AWS", name)
	}
	return c.changed(func(st *state) (*resource, error) {
		k := in.target(st, r.Region, f)
		if err := f.err(); err != nil {
			return nil, err
		}
		id := regional(r.Region, name)
		if old := st.Aliases[id]; old != nil && !old.Door.adoptable(r.Name, r.Inputs) {
			return nil, wire.Errorf("AlreadyExistsException", "An alias with the name %s already exists", old.arn())
		}
		st.Aliases[id] = &kmsAlias{
			Region: r.Region, Name: name, KeyID: k.ID, Created: c.now(),
			Door: &door{r.Name, r.Inputs},
		}
		return st.Aliases[id].resource(st), nil
	})
}

func (a *kmsAlias) resource(st *state) *resource {
	target := ""
	if k := st.Keys[a.KeyID]; k != nil {
		target = k.arn()
	}
	return &resource{ID: a.Name, Inputs: echo(inputsOf(a.Door), nil), Outputs: map[string]any{
		"arn": a.arn(), "name": a.Name, "targetKeyArn": target, "targetKeyId": a.KeyID,
	}}
}

func inputsOf(d *door) map[string]any {
	if d == nil {
		return nil
	}
	return d.Inputs
}

func readAlias(c *Cloud, r resourceRequest) (*resource, error) {
	st := c.store.Read()
	a := st.Aliases[regional(r.Region, r.ID)]
	if a == nil {
		return nil, nil
	}
	return a.resource(st), nil
}

func updateAlias(_ context.Context, c *Cloud, r resourceRequest) (*resource, error) {
	f := &faults{what: label(r)}
	in := decodeInputs[aliasInputs](r.Inputs, namePrefixRefused, f)
	return c.changed(func(st *state) (*resource, error) {
		a := st.Aliases[regional(r.Region, r.ID)]
		if a == nil {
			return nil, wire.Status(http.StatusNotFound, "NotFoundException", "Alias %s is not found.", r.ID)
		}
		k := in.target(st, r.Region, f)
		if err := f.err(); err != nil {
			return nil, err
		}
		a.KeyID, a.Door = k.ID, reinput(a.Door, r.Inputs)
		return a.resource(st), nil
	})
}

func removeAlias(_ context.Context, c *Cloud, r resourceRequest) error {
	return c.store.Update(func(st *state) error {
		delete(st.Aliases, regional(r.Region, r.ID))
		return nil
	})
}

var kmsActions = map[string]func(*call, []byte) (any, error){
	"DescribeKey":          withInput("DescribeKey", (*call).describeKey),
	"GetKeyPolicy":         withInput("GetKeyPolicy", (*call).getKeyPolicy),
	"GetKeyRotationStatus": withInput("GetKeyRotationStatus", (*call).getKeyRotationStatus),
	"ListKeys":             withInput("ListKeys", (*call).listKeys),
	"ListAliases":          withInput("ListAliases", (*call).listAliases),
}

// keyFor finds a key and checks that the caller may perform an action of KMS on it.
func (k *call) keyFor(action, id string) (*kmsKey, error) {
	key := k.st.findKey(k.region, id)
	if key == nil {
		return nil, wire.Errorf("NotFoundException", "Key '%s' does not exist", clip(id))
	}
	return key, k.allowKey(key, "kms:"+action, "", nil)
}

type keyIDInput struct {
	KeyID string `json:"KeyId"`
}

func (k *call) describeKey(in keyIDInput) (any, error) {
	key, err := k.keyFor("DescribeKey", in.KeyID)
	if err != nil {
		return nil, err
	}
	manager := "CUSTOMER"
	if key.AWSManaged != "" {
		manager = "AWS"
	}
	meta := map[string]any{
		"AWSAccountId": AccountID, "KeyId": key.ID, "Arn": key.arn(), "CreationDate": wire.Time{Time: key.Created},
		"Enabled":     key.keyState() == "Enabled",
		"Description": key.Description, "KeyUsage": "ENCRYPT_DECRYPT", "KeyState": key.keyState(), "Origin": "AWS_KMS",
		"KeyManager":            manager,
		"CustomerMasterKeySpec": "SYMMETRIC_DEFAULT", "KeySpec": "SYMMETRIC_DEFAULT",
		"EncryptionAlgorithms": []string{"SYMMETRIC_DEFAULT"},
		"MultiRegion":          false,
	}
	if key.DeletionDate != nil {
		meta["DeletionDate"] = wire.Time{Time: *key.DeletionDate}
	}
	return map[string]any{"KeyMetadata": meta}, nil
}

func (k *call) getKeyPolicy(in struct {
	KeyID      string `json:"KeyId"`
	PolicyName string
},
) (any, error) {
	key, err := k.keyFor("GetKeyPolicy", in.KeyID)
	if err != nil {
		return nil, err
	}
	if in.PolicyName != "" && in.PolicyName != "default" {
		return nil, wire.Errorf("NotFoundException", "No such policy exists")
	}
	return map[string]any{"Policy": key.Policy, "PolicyName": "default"}, nil
}

func (k *call) getKeyRotationStatus(in keyIDInput) (any, error) {
	key, err := k.keyFor("GetKeyRotationStatus", in.KeyID)
	if err != nil {
		return nil, err
	}
	out := map[string]any{"KeyId": key.ID, "KeyRotationEnabled": key.Rotation}
	if key.Rotation {
		out["RotationPeriodInDays"] = key.RotationDays
	}
	return out, nil
}

type pageInput struct {
	Limit  int
	Marker string
}

func (k *call) listKeys(in pageInput) (any, error) {
	if err := k.allow("kms:ListKeys", "*", nil); err != nil {
		return nil, err
	}
	var all []*kmsKey
	for _, id := range sortedKeys(k.st.Keys) {
		if key := k.st.Keys[id]; key.Region == k.region {
			all = append(all, key)
		}
	}
	page, next, err := paginate(all, in.Limit, 1000, in.Marker, func(key *kmsKey) string { return key.ID })
	if err != nil {
		return nil, err
	}
	list := []map[string]string{}
	for _, key := range page {
		list = append(list, map[string]string{"KeyId": key.ID, "KeyArn": key.arn()})
	}
	return kmsPage("Keys", list, next), nil
}

func (k *call) listAliases(in struct {
	KeyID  string `json:"KeyId"`
	Limit  int
	Marker string
},
) (any, error) {
	if err := k.allow("kms:ListAliases", "*", nil); err != nil {
		return nil, err
	}
	var all []*kmsAlias
	for _, id := range sortedKeys(k.st.Aliases) {
		a := k.st.Aliases[id]
		if a.Region == k.region && (in.KeyID == "" || k.st.findKey(k.region, in.KeyID) == k.st.Keys[a.KeyID]) {
			all = append(all, a)
		}
	}
	page, next, err := paginate(all, in.Limit, 100, in.Marker, func(a *kmsAlias) string { return a.Name })
	if err != nil {
		return nil, err
	}
	list := []map[string]any{}
	for _, a := range page {
		list = append(list, map[string]any{
			"AliasName": a.Name, "AliasArn": a.arn(), "TargetKeyId": a.KeyID,
			"CreationDate": wire.Time{Time: a.Created},
		})
	}
	return kmsPage("Aliases", list, next), nil
}

func kmsPage(member string, list any, next string) map[string]any {
	out := map[string]any{member: list, "Truncated": next != ""}
	if next != "" {
		out["NextMarker"] = next
	}
	return out
}

// purgeDue removes the keys and secrets whose waiting period is over.
func (st *state) purgeDue(now time.Time) (changed bool) {
	for id, k := range st.Keys {
		if k.DeletionDate != nil && now.After(*k.DeletionDate) {
			delete(st.Keys, id)
			for name, a := range st.Aliases {
				if a.KeyID == id {
					delete(st.Aliases, name)
				}
			}
			changed = true
		}
	}
	for arn, s := range st.Secrets {
		if s.DeletionDate != nil && now.After(*s.DeletionDate) {
			delete(st.Secrets, arn)
			changed = true
		}
	}
	return changed
}
