package amazontrust

import _ "embed" // roots.pem

//go:embed roots.pem
var roots string

// Bundle returns all roots as PEM text, Amazon's own first.
func Bundle() string { return roots }
