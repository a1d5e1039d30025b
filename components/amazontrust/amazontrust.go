package amazontrust

import _ "embed" // for the roots

//go:embed roots.pem
var roots string

// Bundle is the PEM text of all roots, Amazon's own first.
func Bundle() string { return roots }
