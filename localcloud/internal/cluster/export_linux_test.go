package cluster

// Unexported identifiers that the tests use.
var (
	Hierarchies  = hierarchies
	HeldImages   = heldImages
	Listening    = listening
	LastLines    = lastLines
	ProcessStart = processStart
	Forward      = forward
	Holder       = holder
)
