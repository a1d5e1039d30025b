package netpol

// RunWith is Run with a replacement for the kernel.
var RunWith = run
