package iampolicy_test

import (
	"fmt"

	"dbtier/components/iampolicy"
)

func ExampleJSON() {
	text, err := iampolicy.JSON(iampolicy.Statement{
		Actions:   []string{"kms:Decrypt"},
		Resources: []string{"*"},
	})
	fmt.Println(text, err)
	// Output: {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kms:Decrypt"],"Resource":["*"]}]} <nil>
}

func ExampleValues() {
	text, err := iampolicy.JSON(iampolicy.Statement{
		Actions: []string{"kms:Decrypt"},
		Condition: iampolicy.Condition{"StringEquals": {
			"aws:RequestedRegion": {"eu-west-1", "eu-west-2"}, "aws:PrincipalAccount": {"111122223333"},
		}},
	})
	fmt.Println(text, err)
	// Output: {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kms:Decrypt"],"Condition":{"StringEquals":{"aws:PrincipalAccount":"111122223333","aws:RequestedRegion":["eu-west-1","eu-west-2"]}}}]} <nil>
}

func ExampleDomain() {
	for _, partition := range []string{"aws", "aws-cn", "aws-us-gov"} {
		fmt.Println(partition, iampolicy.Domain(partition))
	}
	// Output:
	// aws amazonaws.com
	// aws-cn amazonaws.com.cn
	// aws-us-gov amazonaws.com
}
