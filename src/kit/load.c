/* load.c -- op libraries: opened, checked, their ops put into the table. */
#include <dlfcn.h>
#include <unistd.h>

#include "kit/kit.h"
#include "opgraft.h"
#include "schema/schema.h"
#include "surgery/pattern.h"

/* Bodies are checked as in a model that imports this version of ONNX's ops. */
enum { NEW_OPSET = 21 };

og_status kit_open(const og_library **out, const char *path)
{
	char here[4096];
	if (access(path, R_OK)) return base_fail(OG_MISSING, "%s: there is no such op library; opgraft op build makes one", path);
	if (!strchr(path, '/')) {            /* else the loader would look in its own folders */
		if (strlen(path) + 3 > sizeof here) return base_fail(OG_USAGE, "the name of the op library is too long");
		memcpy(here, "./", 2);
		memcpy(here + 2, path, strlen(path) + 1);
	}
	void *handle = dlopen(strchr(path, '/') ? path : here, RTLD_NOW | RTLD_LOCAL);
	if (!handle) return base_fail(OG_BAD_FILE, "%s: is no library that loads here: %s", path, dlerror());
	const og_library *library = dlsym(handle, "og_op_library");
	if (library && library->abi == OG_OP_ABI) {
		*out = library;                  /* stays loaded: the table keeps pointers into it */
		return OG_OK;
	}
	og_status status = library
		? base_fail(OG_UNSUPPORTED, "%s: was built for version %u of opgraft/op.h, and this is Opgraft %s with version %u; build it "
		            "again with opgraft op build", path, library->abi, OG_VERSION, OG_OP_ABI)
		: base_fail(OG_BAD_FILE, "%s: is no op library, since it has no og_op_library; opgraft op build makes one", path);
	dlclose(handle);
	return status;
}

og_status og_ops_load(const char *path)
{
	const og_library *library;
	TRY(kit_open(&library, path));
	return schema_add(library->ops, library->n_ops, path);
}

og_status kit_check_declaration(const og_op *op)
{
	surgery_rules *rules;
	TRY(schema_declared(op));
	if (op->body) {
		og_model *scratch = graph_model_create();
		NEED(scratch);
		og_status status = graph_opset_require(scratch, "", NEW_OPSET);
		if (status == OG_OK) status = surgery_add_function(scratch, op);
		graph_model_destroy(scratch);
		if (status != OG_OK) return base_fail_in(OG_BAD_FILE, "op %s, .body", op->name);
	}
	if (op->spellings) {
		if (surgery_parse(&rules, op->spellings) != OG_OK) return base_fail_in(OG_BAD_FILE, "op %s, .spellings", op->name);
		surgery_rules_free(rules);
	}
	return op->cases ? kit_check_cases(op) : OG_OK;
}
