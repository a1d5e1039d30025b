package contract_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"dbtier/components/contract"
	"dbtier/validation"
)

func TestNamesOfLongServicesAreLabelsThatDiffer(t *testing.T) {
	t.Parallel()
	service := strings.Repeat("s", 63)
	pooled, direct := contract.DatabaseSecret(service), contract.DirectSecret(service)
	assert.True(t, validation.Label.Matches(pooled), pooled)
	assert.True(t, validation.Label.Matches(direct), direct)
	assert.NotEqual(t, pooled, direct)
}

func Example() {
	fmt.Println(contract.DatabaseSecret("myshop-api"), contract.DirectSecret("myshop-api"))
	fmt.Println(contract.URL("app", "myshop.example", 5432, "myshop", contract.CAPath))
	// Output:
	// myshop-api-db myshop-api-db-direct
	// postgresql://app@myshop.example:5432/myshop?sslmode=verify-full&sslrootcert=/etc/rds-ca/ca.pem
}
