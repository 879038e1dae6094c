/* check_tensor.cuh -- what check_tensor.c compares with: random numbers, and a convolution summed in double
 * precision. */

struct shape { int n, h, w, c, k, r, s, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, p, q, type, tail; };
typedef unsigned short u16;

/* Types: 0 float32, 1 float16, 2 bfloat16. */
static __device__ float get(const void *x, long long i, int type)
{
	if (type == 0) return ((const float *)x)[i];
	u16 b = ((const u16 *)x)[i];
	float f;
	if (type == 2) return __uint_as_float((unsigned)b << 16);
	asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(b));
	return f;
}

static __device__ void set(void *x, long long i, int type, float f)
{
	u16 b;
	if (type == 0) {
		((float *)x)[i] = f;
	} else if (type == 2) {
		((u16 *)x)[i] = (u16)(__float_as_uint(f) >> 16);
	} else {
		asm("cvt.rn.f16.f32 %0, %1;" : "=h"(b) : "f"(f));
		((u16 *)x)[i] = b;
	}
}

/* One of 129 numbers from -1 to 1. */
static __device__ float number(long long i, int seed)
{
	unsigned u = (unsigned)i * 2654435761u ^ (unsigned)(i >> 32) ^ (unsigned)seed * 0x9e3779b9u;
	u ^= u >> 15;
	u *= 0x85ebca6bu;
	u ^= u >> 13;
	u *= 0xc2b2ae35u;
	u ^= u >> 16;
	return ((int)(u % 129) - 64) / 64.0f;
}

/* Element i of the output. Weights are [row][column][input][output]. */
static __device__ float right(const shape &s, const void *x, const float *w, const float *bias, const void *more,
                              long long i)
{
	int k = i % s.k;
	long long pixel = i / s.k;
	int q = pixel % s.q, p = pixel / s.q % s.p;
	long long image = pixel / s.q / s.p;
	double sum = bias[k];
	for (int r = 0; r < s.r; r++)
		for (int t = 0; t < s.s; t++) {
			int h = p * s.stride_h - s.pad_h + r * s.dilation_h, v = q * s.stride_w - s.pad_w + t * s.dilation_w;
			if (h < 0 || h >= s.h || v < 0 || v >= s.w) continue;
			long long at = ((image * s.h + h) * s.w + v) * s.c;
			const float *f = w + (long long)(r * s.s + t) * s.c * s.k + k;
			float part = 0;
			for (int c = 0; c < s.c; c++) {
				part += get(x, at + c, s.type) * f[(long long)c * s.k];
				if (c % 16 == 15) {
					sum += part;
					part = 0;
				}
			}
			sum += part;
		}
	if (more) sum += get(more, i, s.type);
	switch (s.tail) {
	case 1: return (float)(sum > 0 ? sum : 0);
	case 2: return (float)(sum / (1 + exp(-sum)));
	case 3: return (float)(sum * tanh(log1p(exp(sum > 20 ? 20 : sum))));
	default: return (float)sum;
	}
}

enum { FILL, RIGHT, COMPARE, POISON };

struct judgement {
	int what, seed;
	shape s;
	const void *x;
	const float *w, *bias;
	const void *more;
	float *y;
	const void *out;
	double *sums;
	long long n;
};

/* FILL: random numbers into out; RIGHT: the result into y; COMPARE: out with y, into sums: squares of y, of
 * differences, how many are NaN, the largest difference; POISON: NaN into out. */
extern "C" __global__ void judge(const __grid_constant__ judgement j)
{
	const int what = j.what, type = j.s.type;
	void *const out = (void *)j.out;
	double square = 0, error = 0, worst = 0, wrong = 0;
	for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < j.n;
	     i += gridDim.x * (long long)blockDim.x) {
		if (what == FILL) set(out, i, type, number(i, j.seed));
		else if (what == POISON) set(out, i, type, __int_as_float(0x7fc00000));
		else if (what == RIGHT) j.y[i] = right(j.s, j.x, j.w, j.bias, j.more, i);
		if (what != COMPARE) continue;
		double want = j.y[i], got = get(out, i, type), d = got - want;
		if (!(d == d)) {
			wrong++;
			continue;
		}
		square += want * want;
		error += d * d;
		if (d < 0) d = -d;
		if (want < 0) want = -want;
		d /= want + 1;
		if (d > worst) worst = d;
	}
	if (what != COMPARE) return;
	atomicAdd(j.sums, square);
	atomicAdd(j.sums + 1, error);
	atomicAdd(j.sums + 2, wrong);
	atomicMax((unsigned long long *)(j.sums + 3), (unsigned long long)__double_as_longlong(worst));
}
