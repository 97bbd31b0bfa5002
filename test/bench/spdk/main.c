/*
 * The program: which benchmarks, how often, and a process for each measurement, since DPDK's
 * environment cannot be set up twice in one. The process ends without taking anything apart;
 * what it has goes back to the kernel.
 */

#include "bench.h"
#include "spdk/env.h"
#include "spdk/event.h"
#include "spdk/log.h"
#include <getopt.h>
#include <rte_eal.h>
#include <regex.h>
#include <sched.h>
#include <sys/wait.h>

struct spdk_thread *g_threads[BENCH_CORES];
uint32_t g_cores;

static const struct benchmark *g_bench;
static int g_cpus[BENCH_CORES];
static uint64_t g_min_ns = 120 * 1000 * 1000;
static int g_result = -1;	/* pipe to the parent */

static uint64_t g_start, g_ns, g_n;
static bool g_calibrated;

void
fail(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "spdk-bench: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	_exit(1);
}

void *
must_alloc(size_t size)
{
	void *p = NULL;

	if (posix_memalign(&p, 64, size) != 0) {
		fail("out of memory");
	}
	return memset(p, 0, size);
}

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void
bench_start(void)
{
	g_start = now_ns();
}

uint64_t
bench_took(void)
{
	return now_ns() - g_start;
}

/* A run is over. As one folder up: more operations until a run takes long enough, and then
 * one run that counts. */
static void
run_done(void *unused)
{
	double grow;

	if (g_calibrated) {
		double ns_per_op = (double)g_ns / g_n;

		if (write(g_result, &ns_per_op, sizeof(ns_per_op)) != sizeof(ns_per_op)) {
			fail("cannot report: %s", strerror(errno));
		}
		rmdir(rte_eal_get_runtime_dir());	/* empty, and named after the process */
		_exit(0);
	}
	if (g_ns >= g_min_ns) {
		g_calibrated = true;
	} else {
		grow = 1.2 * g_min_ns / (g_ns > 1000 ? g_ns : 1000);
		g_n = (uint64_t)(g_n * (grow < 100 ? grow : 100)) + 1;
	}
	g_bench->run(g_bench, g_n);
}

void
bench_stop_at(uint64_t ns)
{
	g_ns = ns;
	spdk_thread_send_msg(g_threads[0], run_done, NULL);
}

void
bench_stop(void)
{
	bench_stop_at(bench_took());
}

static void
first_run(void *unused)
{
	g_n = 1000;
	g_bench->run(g_bench, g_n);
}

void
bench_ready(void)
{
	spdk_thread_send_msg(g_threads[0], first_run, NULL);
}

static void
started(void *unused)
{
	struct spdk_cpuset mask;
	uint32_t i;

	g_cores = g_bench->cores;
	g_threads[0] = spdk_get_thread();
	for (i = 1; i < g_cores; i++) {
		spdk_cpuset_zero(&mask);
		spdk_cpuset_set_cpu(&mask, i, true);
		g_threads[i] = spdk_thread_create("bench", &mask);
		if (g_threads[i] == NULL) {
			fail("cannot create a thread on core %u", i);
		}
	}
	if (g_bench->setup != NULL) {
		g_bench->setup(g_bench);
	} else {
		bench_ready();
	}
}

/* SPDK's memory is hugepages, and ordinary pages only where the machine has none to give. */
static bool
have_hugepages(void)
{
	unsigned long free_pages = 0, kib = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		sscanf(line, "HugePages_Free: %lu", &free_pages);
		sscanf(line, "Hugepagesize: %lu", &kib);
	}
	if (f != NULL) {
		fclose(f);
	}
	return free_pages * kib >= 400 * 1024;
}

/* Runs in a process of its own. */
static void
measure_here(void)
{
	struct spdk_app_opts opts;
	char map[64] = "", name[32];
	uint32_t i;

	for (i = 0; i < g_bench->cores; i++) {
		snprintf(map + strlen(map), sizeof(map) - strlen(map), "%s%u@%d", i ? "," : "", i, g_cpus[i]);
	}
	snprintf(name, sizeof(name), "spdk_bench");
	spdk_app_opts_init(&opts, sizeof(opts));
	opts.name = name;
	opts.lcore_map = map;
	opts.rpc_addr = NULL;
	opts.no_pci = true;
	opts.num_entries = 0;	/* no trace file */
	opts.print_level = SPDK_LOG_ERROR;
	opts.disable_cpumask_locks = true;
	opts.env_context = "--log-level=lib.eal:4";
	if (!have_hugepages()) {
		opts.no_huge = true;
		opts.mem_size = 1024;
	}
	spdk_app_start(&opts, started, NULL);
	fail("%s: the application stopped", g_bench->name);
}

static double
measure(const struct benchmark *b)
{
	double ns_per_op = 0;
	int fds[2], status = 0;
	ssize_t got;
	pid_t pid;

	if (pipe(fds) != 0) {
		fail("pipe: %s", strerror(errno));
	}
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		fail("fork: %s", strerror(errno));
	}
	if (pid == 0) {
		close(fds[0]);
		/* Standard output is for the figures. */
		dup2(STDERR_FILENO, STDOUT_FILENO);
		g_result = fds[1];
		g_bench = b;
		measure_here();
	}
	close(fds[1]);
	got = read(fds[0], &ns_per_op, sizeof(ns_per_op));
	close(fds[0]);
	waitpid(pid, &status, 0);
	if (got != sizeof(ns_per_op) || status != 0) {
		fail("%s: the measurement failed (status %#x)", b->name, status);
	}
	return ns_per_op;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
median(double *v, int n)
{
	qsort(v, n, sizeof(*v), compare);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* A duration such as 120ms, in nanoseconds. */
static uint64_t
parse_duration(const char *text)
{
	char *unit;
	double value = strtod(text, &unit);

	if (unit == text || value < 0) {
		fail("-mintime %s: a duration such as 120ms is needed", text);
	} else if (strcmp(unit, "ms") == 0) {
		return value * 1e6;
	} else if (strcmp(unit, "s") == 0) {
		return value * 1e9;
	} else if (strcmp(unit, "us") == 0 || strcmp(unit, "µs") == 0) {
		return value * 1e3;
	}
	fail("-mintime %s: the unit is none of s, ms, us", text);
}

static void
parse_cpus(const char *text)
{
	if (sscanf(text, "%d,%d", &g_cpus[0], &g_cpus[1]) != BENCH_CORES) {
		fail("-cpus %s: two CPUs are needed, such as 0,1", text);
	}
}

static void
default_cpus(void)
{
	cpu_set_t set;
	int cpu, n = 0;

	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof(set), &set);
	for (cpu = 0; cpu < CPU_SETSIZE && n < BENCH_CORES; cpu++) {
		if (CPU_ISSET(cpu, &set)) {
			g_cpus[n++] = cpu;
		}
	}
	if (n < BENCH_CORES) {
		fail("two CPUs are needed, and the process may use only %d", n);
	}
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{"runs", required_argument, NULL, 'n'},
		{"mintime", required_argument, NULL, 't'},
		{"run", required_argument, NULL, 'r'},
		{"cpus", required_argument, NULL, 'c'},
		{NULL, 0, NULL, 0},
	};
	const struct benchmark *tables[] = {g_primitives, g_events, g_dispatch}, *b;
	const char *only = "", *comma = "";
	double *runs;
	regex_t filter;
	int opt, i, n = 1;
	size_t t;

	default_cpus();
	while ((opt = getopt_long_only(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'n':
			n = atoi(optarg);
			break;
		case 't':
			g_min_ns = parse_duration(optarg);
			break;
		case 'r':
			only = optarg;
			break;
		case 'c':
			parse_cpus(optarg);
			break;
		default:
			fail("usage: %s [-runs N] [-mintime 120ms] [-run REGEXP] [-cpus 0,1]", argv[0]);
		}
	}
	if (n < 1) {
		fail("-runs: at least one is needed");
	}
	if (regcomp(&filter, only, REG_EXTENDED | REG_NOSUB) != 0) {
		fail("-run %s: not a regular expression", only);
	}
	runs = must_alloc(n * sizeof(*runs));
	printf("{");
	for (t = 0; t < SPDK_COUNTOF(tables); t++) {
		for (b = tables[t]; b->name != NULL; b++) {
			if (regexec(&filter, b->name, 0, NULL, 0) != 0) {
				continue;
			}
			for (i = 0; i < n; i++) {
				runs[i] = measure(b);
			}
			printf("%s\n  \"%s\": %.3f", comma, b->name, median(runs, n));
			comma = ",";
		}
	}
	printf("\n}\n");
	return 0;
}
