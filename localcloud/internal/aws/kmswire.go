package aws

import "dbtier/localcloud/internal/aws/wire"

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
		"Description": key.Description, "KeyUsage": keyUsage, "KeyState": key.keyState(), "Origin": keyOrigin,
		"KeyManager":            manager,
		"CustomerMasterKeySpec": keySpec, "KeySpec": keySpec,
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
	page, next, err := paginate(kmsPaging, all, in.Limit, 1000, in.Marker, func(key *kmsKey) string { return key.ID })
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
	page, next, err := paginate(kmsPaging, all, in.Limit, 100, in.Marker, func(a *kmsAlias) string { return a.Name })
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
