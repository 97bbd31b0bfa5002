package sys

// StoreBarrier orders what was stored before it before what is stored after it, as other processes see them through
// shared memory.
func StoreBarrier()
