/* steps.cuh -- what the kernels of a plan's steps are made of; comes behind opgraft/op.h. */

/* Op files are included for their formulas: kernels are made here, one for each step. */
#undef MAP
#undef MAP_TEST
#undef OG_ROWS_KERNEL
#undef KERNEL
#define MAP(f, nin, nattr)
#define MAP_TEST(f, nin, nattr)
#define OG_ROWS_KERNEL(f, T)
#define KERNEL(name) template<class T> static __device__ void name##_of(const og_device_call &c)

/* What every kernel is given. */
struct og_step { const void *in[20]; void *out[4]; const void *packed; void *workspace; };

/* Pack number `at` of V elements. */
template<class T, int V> OG_HERE og_pack<T, V> og_pack_at(const void *p, long long at) { return og_read<T, V>((const T *)p + at * V); }

/* a * b + c as one rounding: products may. */
OG_HERE float og_madd(float a, float b, float c) { return __fmaf_rn(a, b, c); }

/* ---- softmax and its like: a row is a warp's or a block's -------------------------------------- */

template<class Team> OG_HERE float og_team_sum(float x) { return Team::fold(OG_FOLD_SUM, x); }
template<class Team> OG_HERE float og_team_max(float x) { return Team::fold(OG_FOLD_MAX, x); }
