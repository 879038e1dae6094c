/* file.c -- files: mapped for reading, replaced whole when written. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

og_status file_open(file_map *out, const char *path)
{
	struct stat st;
	*out = (file_map){ 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);      /* a pipe must not block here */
	if (fd < 0) return base_fail(OG_MISSING, "%s: cannot be opened: %s", path, strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return base_fail(OG_BAD_FILE, "%s: is not a regular file", path);
	}
	size_t size = (size_t)st.st_size;
	if (size > 0) {
		void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
		int error = errno;
		close(fd);
		if (data == MAP_FAILED) return base_fail(OG_BAD_FILE, "%s: cannot be mapped: %s", path, strerror(error));
		*out = (file_map){ .data = data, .size = size };
	} else {
		close(fd);
	}
	return OG_OK;
}

void file_close(file_map *f)
{
	if (f->size > 0) munmap((void *)(uintptr_t)f->data, f->size);
	*f = (file_map){ 0 };
}

void file_populate(const file_map *f)
{
#ifdef MADV_POPULATE_READ
	if (f->size > 0) madvise((void *)(uintptr_t)f->data, f->size, MADV_POPULATE_READ);
#else
	(void)f;
#endif
}

void file_forget(const file_map *f, const void *p, size_t n)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = (uintptr_t)f->data, from = (uintptr_t)p;
	if (f->size == 0 || from < first || n > f->size || from - first > f->size - n) return;
	uintptr_t begin = (from + page - 1) / page * page, end = (from + n) / page * page;
	if (begin < end) madvise((void *)begin, end - begin, MADV_DONTNEED);
}

enum { BUFFER_SIZE = 64 << 10 };

struct file_out {
	int fd;
	int error;                           /* errno of the first write that failed */
	uint64_t written;                    /* told so far, the buffer included */
	size_t used;
	char *path, *temporary;              /* temporary NULL: written in place (a pipe, a device) */
	uint8_t buffer[BUFFER_SIZE];
};

static void release(file_out *f)
{
	if (f->fd >= 0) close(f->fd);
	base_free(f->path);
	base_free(f->temporary);
	base_free(f);
}

/* Opens a file of a name that is not taken, "PATH.PID-NUMBER.tmp", with the mode that `path` has or would get. */
static og_status open_temporary(file_out *f, const struct stat *existing)
{
	static atomic_uint number;
	size_t size = strlen(f->path) + 48;
	f->temporary = base_alloc(size);
	NEED(f->temporary);
	do {
		snprintf(f->temporary, size, "%s.%ld-%u.tmp", f->path, (long)getpid(), atomic_fetch_add(&number, 1));
		f->fd = open(f->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	} while (f->fd < 0 && errno == EEXIST);
	if (f->fd < 0) return base_fail(OG_MISSING, "%s: cannot be created: %s", f->path, strerror(errno));
	/* Where the file system has no modes the file is written all the same. */
	if (existing) (void)fchmod(f->fd, existing->st_mode & 07777);
	return OG_OK;
}

static og_status open_output(file_out *f, const char *path)
{
	char resolved[PATH_MAX];
	struct stat st;
	bool exists = stat(path, &st) == 0;
	/* Behind a symbolic link the file that it names is replaced, not the link. */
	f->path = base_strdup(exists && realpath(path, resolved) ? resolved : path);
	NEED(f->path);
	if (!exists || S_ISREG(st.st_mode)) return open_temporary(f, exists ? &st : NULL);
	f->fd = open(path, O_WRONLY | O_CLOEXEC);
	if (f->fd < 0) return base_fail(OG_MISSING, "%s: cannot be created: %s", path, strerror(errno));
	return OG_OK;
}

og_status file_create(file_out **out, const char *path)
{
	*out = NULL;
	file_out *f = base_new(1, sizeof *f);
	NEED(f);
	f->fd = -1;
	og_status status = open_output(f, path);
	if (status == OG_OK) *out = f;
	else release(f);
	return status;
}

static void write_out(file_out *f, const uint8_t *data, size_t size)
{
	while (size > 0 && f->error == 0) {
		ssize_t n = write(f->fd, data, size);
		if (n >= 0) {
			data += n;
			size -= (size_t)n;
		} else if (errno != EINTR) {
			f->error = errno;
		}
	}
}

static void empty_buffer(file_out *f)
{
	write_out(f, f->buffer, f->used);
	f->used = 0;
}

void file_write(file_out *f, const void *data, size_t size)
{
	f->written += size;
	if (size > BUFFER_SIZE - f->used) empty_buffer(f);
	if (size >= BUFFER_SIZE) {
		write_out(f, data, size);
	} else if (size > 0) {
		memcpy(f->buffer + f->used, data, size);
		f->used += size;
	}
}

uint64_t file_tell(const file_out *f) { return f->written; }

static og_status failure(const file_out *f)
{
	return f->error == 0 ? OG_OK : base_fail(OG_BAD_FILE, "%s: cannot be written: %s", f->path, strerror(f->error));
}

og_status file_flush(file_out *f)
{
	empty_buffer(f);
	return failure(f);
}

og_status file_commit(file_out *f)
{
	empty_buffer(f);
	if (close(f->fd) != 0 && f->error == 0) f->error = errno;
	f->fd = -1;
	if (f->error == 0 && f->temporary && rename(f->temporary, f->path) != 0) f->error = errno;
	og_status status = failure(f);
	if (status != OG_OK && f->temporary) unlink(f->temporary);
	release(f);
	return status;
}

void file_abandon(file_out *f)
{
	if (!f) return;
	if (f->temporary) unlink(f->temporary);
	release(f);
}

char *file_beside(arena *a, const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');
	return arena_printf(a, "%.*s%s", slash ? (int)(slash - path + 1) : 0, path, name);
}
