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
