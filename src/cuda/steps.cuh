/* steps.cuh -- what the kernels of a plan's steps are made of; comes behind opgraft/op.h. */

/* Op files are included for their formulas: kernels are made here, one for each step. */
#undef MAP
#undef MAP_TEST
#undef OG_ROWS_KERNEL
#undef KERNEL
#define MAP(f, nin, nattr)
#define MAP_TEST(f, nin, nattr)
/* name_as(og_f16(), c) is the work of a thread of an op file's own kernel. */
#define OG_ROWS_KERNEL(f, T) \
	OG_HERE void f##_warp_as(og_##T, const og_device_call &c) { og_rows_of_team<og_rows_of_##f, og_##T, og_warp_team>(c); } \
	OG_HERE void f##_block_as(og_##T, const og_device_call &c) { og_rows_of_team<og_rows_of_##f, og_##T, og_block_team>(c); } \
	OG_HERE void f##_columns_as(og_##T, const og_device_call &c) { og_rows_columns<og_rows_of_##f, og_##T>(c); }
#define KERNEL(name) \
	template<class T> static __device__ void name##_of(const og_device_call &c); \
	template<class T> OG_HERE void name##_as(T, const og_device_call &c) { name##_of<T>(c); } \
	template<class T> static __device__ void name##_of(const og_device_call &c)

/* What every kernel is given. */
struct og_step { const void *in[20]; void *out[4]; const void *packed; void *workspace; };

/* Pack number `at` of V elements. */
template<class T, int V> OG_HERE og_pack<T, V> og_pack_at(const void *p, long long at) { return og_read<T, V>((const T *)p + at * V); }

/* a * b + c as one rounding: products may. */
OG_HERE float og_madd(float a, float b, float c) { return __fmaf_rn(a, b, c); }
