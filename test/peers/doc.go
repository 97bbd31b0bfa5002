// Package peers holds what needs the code of others: suites that they have written for their own file systems, run on
// ours. It is a module of its own, so that the core depends on none of it.
package peers
