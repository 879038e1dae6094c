/* program.c -- elementwise nodes to strip programs, registers by liveness. */
#include "plan/program.h"

#include <assert.h>

#include "schema/schema.h"

bool program_takes_type(og_dtype t, const backend *b) { return t == OG_F32 || (b->device && (t == OG_F16 || t == OG_BF16)); }

bool program_takes(const graph_node *node, const backend *b)
{
	if (!node->op || !node->op->map[OG_ISA_SCALAR] || node->n_out != 1 || !node->out[0]) return false;
	if (!program_takes_type(node->out[0]->dtype, b)) return false;
	for (int i = 0; i < node->n_in; i++)
		if (node->in[i] && !program_takes_type(node->in[i]->dtype, b)) return false;
	return true;
}

/* Register of an operand, made on first use; -1 when there are no more. */
static int operand_register(program_builder *b, const graph_value *v, double constant)
{
	for (int k = 0; k < b->p->n_operands; k++) {
		bool anchor = b->p->operand[k] < 0;
		if (v ? (b->operand[k] == v) : (!anchor && !b->operand[k] && b->constant[k] == constant)) return k;
	}
	if (b->p->n_operands == PROGRAM_MAX_REGS) return -1;
	int k = b->p->n_operands++;
	b->operand[k] = v;
	b->constant[k] = constant;
	b->p->operand[k] = k;
	b->reg[k] = v;
	return k;
}

/* How often the nodes from `at` on still read v. */
static int later_uses(const graph_value *v, const graph_node *const *nodes, int at, int n)
{
	int uses = 0;
	for (int i = at; i < n; i++)
		for (int k = 0; k < nodes[i]->n_in; k++) uses += nodes[i]->in[k] == v;
	return uses;
}

static bool inside(const graph_value *v, const graph_node *const *nodes, int n)
{
	for (int i = 0; i < n; i++)
		if (v->producer == nodes[i]) return true;
	return false;
}

/* First pass: every value from outside gets its register, so that operands come first. */
static og_status collect_operands(program_builder *b, const graph_value *anchor, const graph_node *const *nodes, int n)
{
	for (int i = 0; i < n; i++) {
		schema_args args;
		TRY(schema_inputs(&args, nodes[i]->op));
		int count = args.n && args.arg[args.n - 1].variadic ? nodes[i]->n_in : nodes[i]->op->map_inputs;
		for (int k = 0; k < count; k++) {
			const graph_value *v = k < nodes[i]->n_in ? nodes[i]->in[k] : NULL;
			if (v && (v == anchor || inside(v, nodes, n))) continue;
			if (operand_register(b, v, v ? 0 : args.arg[k].value) < 0)
				return base_fail(OG_UNSUPPORTED, "node '%s': too many operands for one strip program", nodes[i]->name);
		}
	}
	return OG_OK;
}

/* A register for the result of node `at`: one whose value is read no more, else a new one. */
static int result_register(program_builder *b, const graph_node *const *nodes, int at, int n)
{
	for (int r = b->p->n_operands; r < b->p->n_regs; r++)
		if (!b->reg[r] || !later_uses(b->reg[r], nodes, at + 1, n)) return r;
	return b->p->n_regs == PROGRAM_MAX_REGS ? -1 : b->p->n_regs++;
}

static int register_of(const program_builder *b, const graph_value *v, double constant)
{
	if (!v) {
		for (int r = 0; r < b->p->n_operands; r++)
			if (!b->operand[r] && b->p->operand[r] >= 0 && b->constant[r] == constant) return r;
		return -1;
	}
	for (int r = b->p->n_regs - 1; r >= 0; r--)
		if (b->reg[r] == v) return r;
	return -1;
}

static og_status add_node(program_builder *b, const graph_node *const *nodes, int at, int n)
{
	const graph_node *node = nodes[at];
	const og_attr_value *attr;
	schema_args args;
	TRY(schema_attributes(&attr, b->a, node));
	TRY(schema_inputs(&args, node->op));
	bool fold = args.n && args.arg[args.n - 1].variadic && node->op->map_inputs == 2;
	int count = fold ? node->n_in : node->op->map_inputs, in[PROGRAM_MAX_REGS];
	for (int k = 0; k < count; k++) {
		const graph_value *v = k < node->n_in ? node->in[k] : NULL;
		in[k] = register_of(b, v, v ? 0 : args.arg[k].value);
		assert(in[k] >= 0);
	}
	int out = result_register(b, nodes, at, n), steps = fold ? count - 1 : 1;
	if (fold && count == 1) {                      /* the only input is the result */
		out = in[0];
		steps = 0;
	}
	if (out < 0 || b->p->n_steps + steps > PROGRAM_MAX_STEPS)
		return base_fail(OG_UNSUPPORTED, "node '%s': too many steps for one strip program", node->name);
	for (int s = 0; s < steps; s++) {
		program_step *step = &b->p->step[b->p->n_steps++];
		step->op = node->op;
		step->out = (uint8_t)out;
		for (int k = 0; k < node->op->map_inputs; k++) step->in[k] = (uint8_t)(fold && s ? (k ? in[s + 1] : out) : in[k]);
		for (int k = 0; k < node->op->map_attrs; k++) step->attr[k] = attr[k].f;
	}
	b->reg[out] = node->out[0];
	b->p->result = (uint8_t)out;
	return OG_OK;
}

og_status program_build(program_builder *b, arena *a, const graph_value *anchor, const graph_node *const *nodes, int n)
{
	*b = (program_builder){ .a = a, .p = arena_alloc(a, sizeof *b->p) };
	NEED(b->p);
	if (anchor) {
		b->p->n_operands = 1;
		b->p->operand[0] = -1;
		b->reg[0] = b->operand[0] = anchor;
	}
	TRY(collect_operands(b, anchor, nodes, n));
	b->p->n_regs = b->p->n_operands;
	for (int i = 0; i < n; i++) TRY(add_node(b, nodes, i, n));
	return OG_OK;
}
