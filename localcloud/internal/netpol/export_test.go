package netpol

// RunWith is Run with another way to the kernel.
var RunWith = run
