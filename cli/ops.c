/* ops.c -- op libraries that the user names: --ops LIB.so, as often as needed. */
#include <string.h>

#include "cli.h"

int cli_load_ops(const cli_args *a)
{
	const char *path;
	for (int k = 0; (path = cli_option_nth(a, "--ops", k)); k++) {
		og_status status = og_ops_load(path);
		if (status != OG_OK) return cli_fail(status);
	}
	return 0;
}

bool cli_is_library(const char *path)
{
	char head[4] = { 0 };
	FILE *f = fopen(path, "rb");
	if (!f) return false;
	bool elf = fread(head, 1, sizeof head, f) == sizeof head && !memcmp(head, "\177ELF", sizeof head);
	fclose(f);
	return elf;
}
