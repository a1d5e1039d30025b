package cli

// version is set by the linker.
var version = "development"
