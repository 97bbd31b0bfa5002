// Package sim is a simulation of the run-time: it does everything that can be done with
// reactors, threads, messages, pollers, devices and channels in random order, one step at a
// time from one goroutine and on a clock of its own, keeps a book of what must come of it, and
// compares the two after every step.
//
// A history is a configuration and a list of actions. The generator chooses the next action by
// looking at the world, but what it has chosen is data: a history can be replayed, whole or in
// part, without it. An action names the objects that it concerns by number; in a part of a
// history in which they do not exist it makes no sense and is skipped. What is to happen inside
// a callback is an action too, kept with the object until its callback is called.
//
// Every history ends with a drain: everything comes to rest, is released and must be gone.
//
// A history that fails is shrunk to the shortest list of actions that still fails in the same
// way, and printed with its seed. The faults of [fault] are put into the world on purpose, to
// test that the simulation finds what it is made for.
package sim
