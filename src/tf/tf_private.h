/* tf_private.h -- what the reader's files share.
 *
 *   tf_read.c         files and folders, and which graph of theirs
 *   tf_ports.c        which inputs and outputs are meant, and what they need
 *   tf_text.c         text form -> binary form
 *   tf_value.c        shapes, tensors, attributes
 *   tf_scope.c        the main graph and the functions as lists of nodes that know each other
 *   tf_outputs.c      which output "node:name:2" of a function's body is
 *   tf_functions.c    scopes -> one flat list of nodes
 *   tf_control.c      branches and loops that are nodes with functions
 *   tf_switch.c       conditions that are known
 *   tf_variables.c    variables -> constants
 *   tf_objects.c      which key of the checkpoint a variable has by TensorFlow 2's objects
 *   tf_bundle.c       checkpoints: tensors by key
 *   tf_table.c        the sorted table that is a checkpoint's index */
#ifndef TF_PRIVATE_H
#define TF_PRIVATE_H

#include "tf/tf_fields.h"
#include "tf/tf_graph.h"

typedef struct tf_scope tf_scope;
typedef struct tf_raw tf_raw;
typedef struct tf_instance tf_instance;

/* A node's output that the user, or the signature, makes an input: whatever computes it is cut away. */
typedef struct tf_cut {
	const char *name; int output;        /* name: as in the flat graph */
	tf_node *placeholder;                /* NULL until something needs it */
	struct tf_cut *next;                 /* another output of the same node */
} tf_cut;

/* Nodes in the order in which they were made, which is a topological one. */
typedef struct tf_list { tf_node **p; size_t n, capacity; } tf_list;

typedef struct tf_reader {
	tf_graph *g;
	og_model *holder;
	arena *temporary;                    /* ends with the reading */
	const uint8_t *base;                 /* first byte of the file, for sentences */
	const char *checkpoint;              /* "folder/variables/variables"; NULL: there is none */
	base_bytes objects;                  /* SavedObjectGraph; p NULL: there is none */
	const char *restore;                 /* name of the op that reads the checkpoint; NULL: there is none */
	map functions;                       /* name -> tf_scope */
	map fixed;                           /* name of a placeholder -> tf_fixed */
	map ops;                             /* name -> base_bytes of its OpDef, where the file has them */
	tf_scope *main;
	size_t expanded;                     /* bytes of tensors that are fewer numbers in the file */
	/* flattening */
	map cuts;                            /* name in the flat graph -> tf_cut */
	map names;                           /* of flat nodes -> tf_node */
	tf_list *list;                       /* where new nodes go */
	bool with_control;                   /* nodes that are only waited for count as needed too */
	int depth;                           /* calls around the place */
	int scope; size_t cap_scopes;        /* of new nodes */
	bool placed;                         /* the sentence says in which node it is */
	size_t steps;                        /* nodes made so far, calls and those that are not needed included */
} tf_reader;

/* ---- tf_text.c ---------------------------------------------------------------------------------- */
bool tf_text_is(base_bytes);             /* does it look like text? */
/* A message in text form as its binary form, into the arena. OG_BAD_FILE with line and column. */
og_status tf_text_encode(base_bytes *out, arena *, tf_message, base_bytes from);

/* ---- tf_value.c --------------------------------------------------------------------------------- */
/* Its own copy, NUL-terminated. OG_BAD_FILE: it holds a NUL byte. */
og_status tf_name(const char **out, arena *, base_bytes);
og_status tf_decode_shape(tf_reader *, tf_shape *, base_bytes);
/* A shape as that of a tensor: each size is known. */
og_status tf_decode_dims(tf_reader *, og_tensor *, base_bytes);
og_status tf_decode_tensor(tf_reader *, og_tensor *, base_bytes);
/* The attributes of a NodeDef or NameAttrList, fields of that number. What says "the caller's attribute X" is looked up
 * among `from`. */
typedef struct tf_attrs { const tf_attr *p; int n; } tf_attrs;
og_status tf_decode_attrs(tf_reader *, tf_attrs *out, tf_message, base_bytes, uint32_t number, tf_attrs from);
const tf_attr *tf_attrs_find(tf_attrs, const char *name);

/* ---- tf_scope.c --------------------------------------------------------------------------------- */

/* One input as a node's file says it. */
typedef struct tf_ref {
	size_t node;                         /* its number in the scope */
	base_bytes output;                   /* in functions: name of an output argument; p == NULL: `k` alone counts */
	int k;
} tf_ref;

struct tf_raw {
	const char *name, *op;               /* op NULL: an argument of the function */
	base_bytes bytes;                    /* NodeDef */
	tf_ref *in; int n_in, n_control;     /* the control inputs stand behind the others */
	const char *sole;                    /* the name by which its outputs were asked for, where the op is not known */
};

struct tf_scope {
	const char *name;                    /* of the function; NULL: the main graph */
	base_bytes bytes;                    /* FunctionDef or GraphDef */
	base_bytes signature;                /* OpDef of the function */
	tf_raw *nodes; size_t n_nodes;       /* the arguments first */
	size_t n_args;
	tf_ref *returns; int n_returns;
	const char **return_names;
	map by_name;                         /* -> 1 + its number, as a pointer */
	bool ready;                          /* the nodes have been read */
	tf_scope *next;                      /* all scopes, for their maps */
};

/* Reads what the file declares: functions by name, the main graph's nodes. */
og_status tf_scope_open(tf_reader *, base_bytes graph_def);
/* Makes a function's nodes known if that has not been done. */
og_status tf_scope_ready(tf_reader *, tf_scope *);
/* SIZE_MAX: there is no such node */
size_t tf_scope_find(const tf_scope *, const char *name, size_t n);
/* "name", "name:2", "^name"; in functions "name:output:2" too. */
og_status tf_scope_ref(const tf_scope *, tf_ref *, base_bytes spelled, bool *control);
void tf_scopes_close(tf_reader *);

/* ---- tf_outputs.c ------------------------------------------------------------------------------- */
/* The number of the output that a reference means; attrs are those of the node. */
og_status tf_output_of(tf_reader *, tf_raw *, tf_attrs attrs, const tf_ref *, int *out);
/* The function that a node calls, and the attributes that it hands on; NULL: it is no call. */
og_status tf_called(tf_reader *, const tf_raw *, tf_attrs attrs, tf_scope **out, tf_attrs *with);
/* Has the op no output at all, as far as is known? */
bool tf_makes_nothing(tf_reader *, const char *op);

/* ---- tf_functions.c ----------------------------------------------------------------------------- */
/* The main graph, none of whose nodes has been made yet. */
og_status tf_instance_main(tf_reader *, tf_instance **out);
/* Makes a node and all that it needs; *out (may be NULL): its output k. */
og_status tf_instance_make(tf_reader *, tf_instance *, const tf_ref *, tf_value *out);
/* Makes sure that a cut has its placeholder, also when nothing needs it. OG_MISSING: there is no such node. */
og_status tf_instance_cut(tf_reader *, tf_instance *main, tf_cut *);

/* The node in the flat graph that an input of a node of the main graph is; NULL: it has not been made, or is a call. */
tf_node *tf_instance_node(tf_instance *main, const tf_ref *);
/* The function that a node of the main graph calls, if it has been looked at; NULL: it has not, or is no call. */
const tf_scope *tf_instance_called(const tf_instance *main, size_t node);

/* Replaces a call of a function by its nodes, which are called "prefix/...". returns: room for all that it returns. */
og_status tf_instance_call(tf_reader *, tf_scope *, tf_attrs with, const char *prefix, tf_value *args, int n_args, tf_value *returns);
/* Appends a node to the flat list, in the scope in which nodes are made. */
og_status tf_instance_append(tf_reader *, tf_node *);

/* ---- tf_control.c ------------------------------------------------------------------------------- */
bool tf_is_control(const char *op);
/* A branch or loop of that name and those inputs, whose bodies' nodes go in front of it. Its outputs are *values. */
og_status tf_control_make(tf_reader *, const char *op, const char *name, tf_attrs, tf_value *in, int n_in, tf_value **values, int *n_values);

/* ---- tf_ports.c --------------------------------------------------------------------------------- */
/* The graph of the scopes that were opened. meta: MetaGraphDef with signatures; p NULL: a lone GraphDef. */
og_status tf_build(tf_reader *, base_bytes meta, const tf_options *);

/* ---- tf_switch.c -------------------------------------------------------------------------------- */
/* A placeholder of the main graph that the user fixed becomes a constant. */
og_status tf_fix_placeholder(tf_reader *, tf_node *);
/* Replaces Switch and Merge by Identity where the condition is known. Leaves marks on the nodes. */
void tf_fold_switches(const tf_list *);
/* With those marks: what has become of a value; false: it never comes. */
bool tf_follow_switch(tf_value *);

/* ---- tf_variables.c ----------------------------------------------------------------------------- */
/* The place of a variable's value; what the mark of a variable that is needed points to once it is known. */
typedef struct tf_restored { const char *key, *slice; } tf_restored;
bool tf_is_variable(const tf_node *);
og_status tf_make_constant(tf_reader *, tf_node *, const og_tensor *value);
/* Turns variables among the nodes that have a mark into constants, and what reads them into Identity. */
og_status tf_bind_variables(tf_reader *, tf_instance *main, const tf_list *);

/* ---- tf_objects.c ------------------------------------------------------------------------------- */
typedef struct tf_bundle tf_bundle;
/* Notes keys for variables that are needed and whose mark is still `unknown`. */
og_status tf_objects_find(tf_reader *, tf_instance *main, tf_bundle *, const void *unknown);

/* ---- tf_bundle.c -------------------------------------------------------------------------------- */
/* `prefix`: "folder/variables/variables", in front of ".index" and ".data-00000-of-00001". */
og_status tf_bundle_open(tf_bundle **out, tf_reader *, const char *prefix);
void tf_bundle_close(tf_bundle *);       /* NULL is fine; tensors stay, they are in files of the model */
/* The tensor of that key, whose bytes have been checked. slice: "" for all of it, or what a Saver notes of a part:
 * "6 3 0,2:-" (sizes of the whole, then start and length, or all, of each dimension). OG_NO: there is no such key. */
og_status tf_bundle_read(tf_bundle *, og_tensor *out, const char *key, const char *slice);
/* A scalar of strings. OG_NO: there is no such key. */
og_status tf_bundle_string(tf_bundle *, base_bytes *out, const char *key);

/* ---- tf_table.c --------------------------------------------------------------------------------- */
typedef struct tf_entry { base_bytes key, value; } tf_entry;
/* CRC-32C (Castagnoli), eight bytes at a time: of[k][b] is what byte b adds when k further bytes follow it. */
typedef struct tf_crc { uint32_t of[8][256]; } tf_crc;
void tf_crc_prepare(tf_crc *);
uint32_t tf_crc32c(const tf_crc *, base_bytes);
/* As files have it: turned and added to, so that a sum of data with sums in it is not weak. */
static inline uint32_t tf_crc_masked(uint32_t crc) { return (crc >> 15 | crc << 17) + 0xa282ead8u; }
int tf_key_order(base_bytes a, base_bytes b);            /* below 0: a comes first */
/* All entries of a table file, by rising keys, which is checked. Keys, with a NUL behind, go to the arena; values stay in
 * the file. */
og_status tf_table_read(base_bytes file, arena *, const tf_crc *, tf_entry **entries, size_t *n);

/* ---- tf_read.c --------------------------------------------------------------------------------- */
/* A SavedModel, MetaGraphDef or GraphDef from bytes that outlive the model; checkpoint NULL: there is none. */
og_status tf_read_bytes(tf_graph **out, og_model *holder, const char *path, base_bytes, tf_message, const char *checkpoint,
                        const tf_options *);
/* Maps a file, which the model keeps. */
og_status tf_map_file(og_model *, const char *path, base_bytes *out);

#endif
