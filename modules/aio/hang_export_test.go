package aio

// SetCloseHook has fn called by workers before a descriptor is closed.
func SetCloseHook(a *Aio, fn func()) { a.pool.closeHook = fn }
