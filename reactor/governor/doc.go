// Package governor sets the clock rate of cores through the kernel's cpufreq. Import it for
// its effect: it registers itself as "cpufreq" (see [reactor.NewGovernor]).
//
// A core's frequency is set by drawing both limits of its cpufreq policy together,
// scaling_min_freq and scaling_max_freq, which works with every driver and every governor of
// the kernel's and changes nothing else. What they were is put back in the end; a process
// that is killed leaves them.
//
// The calls of a scheduler come from a reactor, and writing to sysfs can take long. They only
// note what is wanted; a goroutine of the governor applies the latest of it. Errors are those
// of [reactor.Governor]; concurrency too.
package governor
