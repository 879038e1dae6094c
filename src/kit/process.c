/* process.c -- runs compilers, and the parts of the kit that may crash. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "kit/kit.h"

extern char **environ;

enum { AT_ONCE = 8, NOT_STARTED = 127 };

static pid_t start(const kit_job *j)
{
	posix_spawn_file_actions_t actions;
	pid_t child = -1;
	if (posix_spawn_file_actions_init(&actions)) return -1;
	bool ready = !posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0) &&
	             !posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, j->log, O_WRONLY | O_CREAT | O_TRUNC, 0666) &&
	             !posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
	/* posix_spawn does not change what its argument lists point to. */
	if (!ready || posix_spawnp(&child, j->argv[0], &actions, NULL, (char *const *)(uintptr_t)j->argv, environ)) child = -1;
	posix_spawn_file_actions_destroy(&actions);
	return child;
}

static int wait_for(pid_t child)
{
	int status;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR) return NOT_STARTED;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static og_status read_log(kit_job *j, arena *a)
{
	file_map f;
	j->said = "";
	if (j->exit_status == NOT_STARTED || file_open(&f, j->log) != OG_OK) return OG_OK;
	j->said = arena_strndup(a, (const char *)f.data, f.size);
	file_close(&f);
	NEED(j->said);
	return OG_OK;
}

og_status kit_run(kit_job *jobs, size_t n, arena *a)
{
	pid_t running[AT_ONCE];
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	size_t width = processors < 1 ? 1 : processors > AT_ONCE ? AT_ONCE : (size_t)processors;
	for (size_t k = 0; k < n + width; k++) {
		if (k >= width && k - width < n) {
			pid_t child = running[k % width];
			jobs[k - width].exit_status = child < 0 ? NOT_STARTED : wait_for(child);
		}
		if (k < n) running[k % width] = start(&jobs[k]);
	}
	for (size_t k = 0; k < n; k++) TRY(read_log(&jobs[k], a));
	return OG_OK;
}

/* ---- children -------------------------------------------------------------------------------- */

/* Reads all that the child tells; false when it was silent for too long. */
static bool listen_to(text *told, int from, int seconds)
{
	char buffer[4096];
	for (;;) {
		struct pollfd p = { .fd = from, .events = POLLIN };
		int ready = poll(&p, 1, seconds * 1000);
		if (ready < 0 && errno == EINTR) continue;
		if (ready <= 0) return false;
		ssize_t n = read(from, buffer, sizeof buffer);
		if (n < 0 && errno == EINTR) continue;
		if (n <= 0) return true;
		text_addn(told, buffer, (size_t)n);
	}
}

og_status kit_child(text *told, int *signal, void (*body)(void *arg, int to), void *arg, int seconds)
{
	int ends[2], status = 0;
	if (pipe2(ends, O_CLOEXEC)) return base_fail(OG_MISSING, "a pipe cannot be made: %s", strerror(errno));
	pid_t child = fork();
	if (child == 0) {
		close(ends[0]);
		body(arg, ends[1]);
		_exit(0);
	}
	close(ends[1]);
	if (child < 0) {
		close(ends[0]);
		return base_fail(OG_MISSING, "a process cannot be started: %s", strerror(errno));
	}
	bool heard = listen_to(told, ends[0], seconds);
	if (!heard) kill(child, SIGKILL);
	close(ends[0]);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
	*signal = !heard ? SIGALRM : WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	return told->failed ? base_no_memory() : OG_OK;
}
