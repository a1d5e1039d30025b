package naming

import "regexp"

var (
	region    = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d$`)
	policyArn = regexp.MustCompile(`^arn:[a-z-]+:iam::(\d{12}|aws):policy/[\w+=,.@/-]+$`)
	keyArn    = regexp.MustCompile(`^arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key/[a-zA-Z0-9-]+$`)
)

// IsRegion reports whether text has the form of an AWS region, such as ap-northeast-2.
func IsRegion(text string) bool { return region.MatchString(text) }

// IsPolicyArn reports whether text has the form of a managed policy's ARN, of an account or of AWS itself.
func IsPolicyArn(text string) bool { return policyArn.MatchString(text) }

// PolicyArnRule says what [IsPolicyArn] wants.
const PolicyArnRule = "want the ARN of a managed policy (arn:aws:iam::<account>:policy/<name>)"

// IsKeyArn reports whether text has the form of a KMS key's ARN. An alias has another one.
func IsKeyArn(text string) bool { return keyArn.MatchString(text) }
