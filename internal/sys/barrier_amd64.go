package sys

// StoreBarrier orders what was stored before it before what is stored after it, as other processes see them through
// shared memory. This CPU does that by itself, and the compiler keeps stores in their order.
func StoreBarrier() {}
