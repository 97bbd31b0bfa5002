// Package iochannel gives every thread its own state of a shared device: SPDK's io_device
// and io_channel.
//
// A [Device] is anything that several threads use: a disk, a file system, a dispatcher. The
// first [Device.Get] on a thread creates that thread's [Channel], with a context that is
// typed by [RegisterDevice]; later ones return the same with one more reference. The last
// [Channel.Put] destroys it, not at once but by a deferred call, so that a Get before that
// revives it.
//
// [ForEachChannel] visits the channels of a device one after the other, each on its own
// thread, and then calls back on the thread that asked. It is how a device changes state
// everywhere without a lock.
//
// [Device.Unregister] is deferred while an iteration runs and while channels exist; new
// channels cannot be had from then on.
//
// What happens on a hot path (Get and Put of an existing channel) touches only the thread's
// own memory. Creation, destruction and iteration take the device's mutex for a few
// instructions, never while a callback runs.
package iochannel
