package cluster

// For tests of what the package keeps to itself.
var (
	Hierarchies  = hierarchies
	HeldImages   = heldImages
	Listening    = listening
	LastLines    = lastLines
	ProcessStart = processStart
	Forward      = forward
	Holder       = holder
)
