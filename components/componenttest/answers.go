package componenttest

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// answer returns the outputs of a new resource: its inputs, and the values that only the cloud knows.
func (r *Recording) answer(args pulumi.MockResourceArgs) (string, resource.PropertyMap) {
	outputs := maps.Clone(args.Inputs)
	if outputs == nil {
		outputs = resource.PropertyMap{}
	}
	if !args.Custom {
		return "", outputs
	}
	if metadata := outputs["metadata"]; !r.dryRun && metadata.IsObject() &&
		strings.HasSuffix(args.TypeToken, ":ExternalSecret") {
		answered := metadata.ObjectValue().Copy()
		answered["creationTimestamp"] = resource.NewProperty(Created)
		outputs = outputs.Copy()
		outputs["metadata"] = resource.NewProperty(answered)
	}
	id, known := cloudOutputs(args)
	for key, value := range known {
		property := resource.PropertyKey(key)
		if r.dryRun {
			outputs[property] = resource.MakeComputed(resource.NewProperty(""))
			continue
		}
		outputs[property] = resource.NewPropertyValue(value)
	}
	for key, value := range r.reads[args.TypeToken] {
		outputs[resource.PropertyKey(key)] = resource.NewPropertyValue(value)
	}
	if r.dryRun {
		id = ""
	}
	return id, outputs
}

func cloudOutputs(args pulumi.MockResourceArgs) (id string, outputs map[string]any) {
	text := func(key string) string {
		if value, ok := args.Inputs[resource.PropertyKey(key)]; ok && value.IsString() {
			return value.StringValue()
		}
		return args.Name
	}
	sum := sha256.Sum256([]byte(args.TypeToken + args.Name))
	random := hex.EncodeToString(sum[:])[:17]
	switch args.TypeToken {
	case "aws:kms/key:Key":
		return "5f2d1c3e-0000-4000-8000-1234567890ab",
			map[string]any{"arn": KeyArn, "keyId": "5f2d1c3e-0000-4000-8000-1234567890ab"}
	case "aws:ec2/securityGroup:SecurityGroup":
		return "sg-" + random, map[string]any{"arn": "arn:aws:ec2:" + Region + ":" + Account + ":security-group/sg-" +
			random}
	case "aws:iam/role:Role":
		return text("name"), map[string]any{"arn": "arn:aws:iam::" + Account + ":role/" + text("name")}
	case "aws:rds/instance:Instance":
		host := text("identifier") + ".c9akciq32rgx." + Region + ".rds.amazonaws.com"
		known := map[string]any{
			"arn":        "arn:aws:rds:" + Region + ":" + Account + ":db:" + text("identifier"),
			"address":    host,
			"endpoint":   host + ":5432",
			"resourceId": "db-ABCDEFGHIJKLMNOPQRSTUVWXY0",
			"masterUserSecrets": []any{map[string]any{
				"secretArn": SecretArn, "kmsKeyId": KeyArn, "secretStatus": "active",
			}},
		}
		// A restored instance has the disk of its source.
		if _, given := args.Inputs["allocatedStorage"]; !given {
			known["allocatedStorage"] = 50
		}
		return "db-ABCDEFGHIJKLMNOPQRSTUVWXY0", known
	case "aws:secretsmanager/secret:Secret":
		arn := "arn:aws:secretsmanager:" + Region + ":" + Account + ":secret:" + text("name") + "-Ab12Cd"
		return arn, map[string]any{"arn": arn}
	case "aws:rds/proxy:Proxy":
		return text("name"), map[string]any{
			"arn":      "arn:aws:rds:" + Region + ":" + Account + ":db-proxy:" + ProxyID,
			"endpoint": text("name") + ".proxy-c9akciq32rgx." + Region + ".rds.amazonaws.com",
		}
	case "aws:rds/proxyDefaultTargetGroup:ProxyDefaultTargetGroup":
		return text("dbProxyName"), map[string]any{"name": "default"}
	default:
		return args.Name + "-id", nil
	}
}
