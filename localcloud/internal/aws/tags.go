package aws

import (
	"fmt"

	"dbtier/localcloud/internal/aws/iam"
	"dbtier/localcloud/internal/aws/wire"
	"dbtier/validation/awsrules"
)

type tag struct{ Key, Value string }

func tagList(tags map[string]string) []tag {
	out := make([]tag, 0, len(tags))
	for _, k := range sortedKeys(tags) {
		out = append(out, tag{k, tags[k]})
	}
	return out
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

// checkTags checks tags by the rules of the services that the tier tags.
func checkTags(tags map[string]string) error {
	if found := awsrules.CheckTags(tags, nil); len(found) > 0 {
		return fmt.Errorf("tag %q: %s", clip(found[0].Key), found[0].Reason)
	}
	return nil
}

func requestTagKeys(ctx iam.Context, tags map[string]string) {
	ctx.SetTags("aws:RequestTag", tags)
	if len(tags) > 0 {
		ctx.Set("aws:TagKeys", sortedKeys(tags)...)
	}
}

type xmlTag struct{ Key, Value string }

func xmlTags(tags map[string]string) []xmlTag {
	var out []xmlTag
	for _, t := range tagList(tags) {
		out = append(out, xmlTag(t))
	}
	return out
}

// tagsOf reads the tags of a request from <prefix>.N.Key and <prefix>.N.Value.
func tagsOf(p *wire.Params, prefix string) map[string]string {
	out := map[string]string{}
	for i := range p.Count(prefix) {
		at := member(prefix, i)
		out[p.String(at+".Key")] = p.String(at + ".Value")
	}
	return out
}
