/* partition_write.c -- pieces as files: all are written, then all get their names, and the manifest comes last. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <dirent.h>
#include <unistd.h>

#include "base/file.h"
#include "kit/partition.h"
#include "onnx/onnx.h"

static og_status write_piece(partition *p, int k)
{
	partition_piece *at = &p->pieces[k];
	og_model *part;
	for (int i = 0; i < p->n_nodes; i++) p->nodes[i].inside = p->nodes[i].piece == k;
	at->file = arena_printf(p->a, "piece_%d_%s.onnx", k, at->host->is->name);
	NEED(at->file);
	TRY(partition_part(&part, p, at, p->a));
	const char *path = arena_printf(p->a, "%s/%s", p->folder, at->file);
	og_status status = !path ? base_no_memory() : p->o->folder ? onnx_write(part, path, NULL) : OG_OK;
	graph_model_destroy(part);
	return status;
}

/* Gives a file its place, if it is there. */
static og_status move(const partition *p, const char *name, const char *more)
{
	const char *from = arena_printf(p->a, "%s/%s%s", p->folder, name, more);
	const char *to = arena_printf(p->a, "%s/%s%s", p->o->folder, name, more);
	if (!from || !to) return base_no_memory();
	if (!rename(from, to) || (*more && errno == ENOENT)) return OG_OK;
	return base_fail(OG_MISSING, "%s: cannot be written: %s", to, strerror(errno));
}

static og_status write_manifest(const partition *p)
{
	char *s;
	file_out *f;
	const char *path = arena_printf(p->a, "%s/manifest.json", p->o->folder);
	NEED(path);
	TRY(partition_print(&s, p, OG_JSON));
	og_status status = file_create(&f, path);
	if (status == OG_OK) {
		file_write(f, s, strlen(s));
		status = file_commit(f);
	}
	base_free(s);
	return status;
}

og_status partition_write(partition *p)
{
	for (int k = 0; k < p->n_pieces; k++) TRY(write_piece(p, k));
	if (!p->o->folder) return OG_OK;
	for (int k = 0; k < p->n_pieces; k++) {
		TRY(move(p, p->pieces[k].file, ".data"));
		TRY(move(p, p->pieces[k].file, ""));
	}
	return write_manifest(p);
}

void partition_sweep(partition *p)
{
	DIR *d = p->folder ? opendir(p->folder) : NULL;
	for (struct dirent *e; d && (e = readdir(d));)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) unlinkat(dirfd(d), e->d_name, 0);
	if (d) closedir(d);
	if (p->folder) rmdir(p->folder);
	if (p->made_folder) rmdir(p->o->folder);             /* stays when there is something in it */
}
