/* opgraft/vmath.h -- elementary functions, written once in the vocabulary of vec.h.
 *
 * In the ref view each is libm's in double; in the float32 views each gives the same bits in every view. All of them
 * pass NaN on, are right for infinities, -0 and denormal numbers, underflow gradually and overflow to infinity.
 * The polynomials are minimax fits made for this file; tests/unit/test_elementwise.c measures what becomes of them. */
#ifndef OPGRAFT_VMATH_H
#define OPGRAFT_VMATH_H

#if OP_REF
EXPR v v_exp(v x) { return exp(x); }
EXPR v v_exp_times(v a, v x) { return a * exp(x); }
EXPR v v_expm1(v x) { return expm1(x); }
EXPR v v_expm1_low(v x) { return expm1(x); }
EXPR v v_exp_over(v x, v slope, v *below)
{
	*below = 1.0;
	return exp(fmax(-40.0, fmin(40.0, slope * x)));
}
EXPR v v_gate(v a, v x, v slope) { return a / (exp(-slope * x) + 1.0); }
EXPR v v_tanh(v x) { return tanh(x); }
EXPR v v_sinh(v x) { return sinh(x); }
EXPR v v_cosh(v x) { return cosh(x); }
EXPR v v_erf(v x) { return erf(x); }
EXPR v v_normal_times(v a, v x) { return a * (0.5 * erfc(x * -0.70710678118654752)); }
EXPR v v_log(v x) { return log(x); }
EXPR v v_log1p(v x) { return log1p(x); }
EXPR v v_log1p_unit(v x) { return log1p(x); }
EXPR v v_asinh(v x) { return asinh(x); }
EXPR v v_acosh(v x) { return acosh(x); }
EXPR v v_atanh(v x) { return atanh(x); }
EXPR v v_sin(v x) { return sin(x); }
EXPR v v_cos(v x) { return cos(x); }
EXPR v v_tan(v x) { return tan(x); }
EXPR v v_asin(v x) { return asin(x); }
EXPR v v_acos(v x) { return acos(x); }
EXPR v v_atan(v x) { return atan(x); }
EXPR v v_pow(v x, v y) { return pow(x, y); }
EXPR v v_fmod(v x, v y) { return fmod(x, y); }

#else
/* ---- exp and what is made of it ------------------------------------------------------------- */

#define V_ROUND_UP 12582912.0f                   /* 1.5 * 2^23: added to a small x, the sum's last bits are rint(x) */
#define V_LOG2E 0x1.715476p+0f                   /* log2(e) = V_LOG2E + V_LOG2E_LOW */
#define V_LOG2E_LOW 0x1.4ae0c0p-26f

/* 2^n. An n with a multiple of 512 added, as integers come out of V_ROUND_UP, is the same; so is half of that. */
EXPR v v_pow2(vi n) { return v_float(v_shl(n, 23) + 0x3f800000); }

/* 2^f for |f| <= 1/2 */
EXPR v v_exp2_core(v f)
{
	v p = v_fma(f, 0x1.4bc65ep-13f, 0x1.5fc01ap-10f);
	p = v_fma(p, f, 0x1.3b21c6p-7f);
	p = v_fma(p, f, 0x1.c6ada6p-5f);
	p = v_fma(p, f, 0x1.ebfbe6p-3f);
	p = v_fma(p, f, 0x1.62e432p-1f);
	return v_fma(p, f, 1.0f);
}

/* 2^(x * (w + low)) = 2^n * the result, which is near 1, for |x * w| < 2^21; n comes as n + V_ROUND_UP. */
EXPR v v_exp2_parts(v x, v w, v low, v *n)
{
	v f;
	*n = v_fma(x, w, V_ROUND_UP);
	f = v_fma(x, w, V_ROUND_UP - *n);
	return v_exp2_core(v_fma(x, low, f));
}
EXPR v v_exp_parts(v x, v *n) { return v_exp2_parts(x, v_splat(V_LOG2E), v_splat(V_LOG2E_LOW), n); }

/* a * exp(x) for |a| < 2^100, where exp(x) alone may be beyond the floats. */
EXPR v v_exp_times_(v a, v x)
{
	v n, p = v_exp_parts(v_lesser(176.0f, v_greater(-176.2f, x)), &n);
	vi half = v_sar(v_bits(n), 1);               /* -127, so that the product is 0, at the lower end */
	return a * p * v_pow2(half) * v_pow2(v_bits(n) - half);
}
#define v_exp_times(a, x) v_exp_times_(v_of(a), v_of(x))

/* p * 2^n, rounded once, for p near 1 and -254 <= n <= 254; n comes as n + V_ROUND_UP. */
EXPR v v_scale(v p, v n)
{
#if OG_LANES == 16
	return (v)_mm512_scalef_ps((__m512)p, (__m512)(n - V_ROUND_UP));
#else
	vi half = v_sar(v_bits(n), 1);
	return p * v_pow2(half) * v_pow2(v_bits(n) - half);
#endif
}

EXPR v v_exp(v x)
{
	v n, p = v_exp_parts(v_lesser(176.0f, v_greater(-176.2f, x)), &n);
	return v_scale(p, n);
}

/* expm1(x) for -87 <= x <= 88; the sign of a zero is lost. The polynomial is in x - n ln(2): that is exact near 0. */
EXPR v v_expm1_core(v x)
{
	v t = v_fma(x, V_LOG2E, V_ROUND_UP), n = t - V_ROUND_UP, s = v_pow2(v_bits(t));
	v r = v_fma(n, -0x1.efa39ep-25f, v_fma(n, -0x1.62e42ep-1f, x));
	v p = v_fma(r, 0x1.3b891ap-13f, 0x1.6d2e48p-10f);
	p = v_fma(p, r, 0x1.1155a8p-7f);
	p = v_fma(p, r, 0x1.555502p-5f);
	p = v_fma(p, r, 0x1.55552cp-3f);
	p = v_fma(p, r, 0.5f);
	p = v_fma(p, r * r, r);
	return v_fma(p, s, s - 1.0f);
}

/* expm1(x) for x <= 88, but 0 for -0 */
EXPR v v_expm1_low(v x) { return v_expm1_core(v_greater(-80.0f, x)); }

EXPR v v_expm1(v x)
{
	v small = v_expm1_low(v_lesser(88.0f, x));
	return v_copysign(v_sel(x > 88.0f, v_exp(x), small), x);
}

/* ---- exp() as a fraction, which takes three multiply-adds less where a formula divides anyway ---- */

#define V_EIGHTHS 1572879.875f                   /* 1.5 * 2^20 + 127 / 8: added to a small x, the sum's last bits are rint(8 x) + 127 */

/* 2^(8 (x * w + x * low)) = 2^n * above / *below for |x * w| < 2^17, both between 0.5 and 1; *power is 2^n for |n| < 127, its bits are those
 * of n + 127 moved up, whatever n is. With y = f ln(2): exp(y) = (1 + tanh(y/2)) / (1 - tanh(y/2)), and tanh(y/2) is odd / even. */
EXPR v v_exp2_over(v x, v w, v low, v *below, v *power)
{
	v n = v_fma(x, w, V_EIGHTHS), f = v_fma(x, w, V_EIGHTHS - n), s, even, odd;
	*power = v_float(v_shl(v_bits(n), 23));
	f = v_fma(x, low, f);
	s = f * f;
	even = v_fma(s, 0x1.155840p+1f, 0x1.68e060p-1f);
	odd = f * (s + 0x1.f447f0p+0f);
	*below = even - odd;
	return even + odd;
}

/* exp(slope * x) = the result / *below, each between 2^-60 and 2^60, for a slope * x between -40 and 40; beyond, what it is there. */
EXPR v v_exp_over_(v x, v slope, v *below)
{
	v w = slope * (V_LOG2E / 8), low = v_fma(slope, V_LOG2E_LOW / 8, v_fma(slope, V_LOG2E / 8, -w)), far = v_abs(40.0f / slope), above, power;
	if (!v_within(x, far)) x = v_lesser(far, v_greater(-far, x));
	above = v_exp2_over(x, w, low, below, &power);
	return above * power;
}
#define v_exp_over(x, slope, below) v_exp_over_(v_of(x), v_of(slope), below)

/* a * sigmoid(slope * x) = a / (1 + exp(-slope x)) for a finite slope. Both sides of the fraction are 2^-64 of that where
 * exp() may be too large, so |a / exp()| is right down to the smallest float for any |a| < 2^40. What hangs on the slope
 * alone is computed once when the slope is a constant of the loop. */
EXPR v v_gate_(v a, v x, v slope)
{
	v w = slope * (-V_LOG2E / 8), low = v_fma(slope, -V_LOG2E_LOW / 8, v_fma(slope, -V_LOG2E / 8, -w));
	v most = -133.4f / slope, least = 40.0f / slope, above, below, power;     /* exp() is 2^192: infinite; 2^-58: nothing */
	if (v_within(x, v_abs(least))) {
		above = v_exp2_over(x, w, low, &below, &power);
	} else {
		vi n;
		vm big;
		x = v_lesser(v_greater(most, least), v_greater(v_lesser(most, least), x));
		above = v_exp2_over(x, w, low, &below, &power);
		big = x * w > 8.0f;
		below = v_sel(big, below * 0x1p-64f, below);
		n = v_bits(v_sel(big, 0x1p64f, 1.0f)) - 0x3f800000;
		power = v_float(v_bits(power) - n);
	}
	return a * below / v_fma(above, power, below);
}
#define v_gate(a, x, slope) v_gate_(v_of(a), v_of(x), v_of(slope))

EXPR v v_tanh(v x)
{
	v a = v_abs(x), s = x * x, near, n, far;
	near = v_fma(s, -0x1.9921a0p-8f, 0x1.58e518p-6f);
	near = v_fma(near, s, -0x1.b91e7ep-5f);
	near = v_fma(near, s, 0x1.110ceep-3f);
	near = v_fma(near, s, -0x1.55554ap-2f);
	near = v_fma(near * s, a, a);
	far = v_exp2_parts(v_lesser(20.0f, a), v_splat(2 * V_LOG2E), v_splat(2 * V_LOG2E_LOW), &n);
	far = 1.0f - 2.0f / v_fma(far, v_pow2(v_bits(n)), 1.0f);
	return v_copysign(v_sel(a > 0.5493f, far, near), x);
}

EXPR v v_sinh(v x)
{
	v a = v_abs(x), e = v_expm1_core(v_lesser(80.0f, a));
	return v_copysign(v_sel(a > 80.0f, v_exp_times(0.5f, a), 0.5f * (e + e / (e + 1.0f))), x);
}

EXPR v v_cosh(v x)
{
	v e = v_exp_times(0.5f, v_abs(x));
	return e + 0.25f / e;
}

EXPR v v_erf(v x)
{
	v a = v_lesser(4.0f, v_abs(x)), s = a * a, near, far, n;
	near = v_fma(s, -0x1.3ba5aep-11f, 0x1.479c18p-8f);
	near = v_fma(near, s, -0x1.b69b8ep-6f);
	near = v_fma(near, s, 0x1.ce1b86p-4f);
	near = v_fma(near, s, -0x1.8126ecp-2f);
	near = v_fma(near, s, 0x1.06eba6p-3f);
	near = v_fma(near, a, a);
	/* 1 - erf(a) = exp(-far) */
	far = v_fma(a, -0x1.a58e94p-13f, 0x1.9553e2p-9f);
	far = v_fma(far, a, -0x1.6f5654p-6f);
	far = v_fma(far, a, 0x1.ab539ep-4f);
	far = v_fma(far, a, 0x1.460268p-1f);
	far = v_fma(far, a, 0x1.20c06cp+0f);
	far = v_fma(far, a, 0x1.18262cp-13f);
	far = v_exp_parts(-far, &n);
	far = v_fma(far, -v_pow2(v_bits(n)), 1.0f);
	return v_copysign(v_sel(a < 0.875f, near, far), x);
}

/* a * P(N <= x) for a standard normal N. The tail P(N <= -t) is exp(-t^2/2) times a rational function; beyond 18.76 its
 * scale becomes 0. */
EXPR v v_normal_times_(v a, v x)
{
	v t = v_lesser(18.765f, v_abs(x)), s = t * t, n, f, p, q;
	vi half;
	vm below = x < 0.0f;
	n = v_fma(s, -0.5f * V_LOG2E, V_ROUND_UP);
	f = v_fma(s, -0.5f * V_LOG2E, V_ROUND_UP - n);
	f = v_fma(v_fma(t, t, -s), -0.5f * V_LOG2E, v_fma(s, -0.5f * V_LOG2E_LOW, f));
	p = v_fma(t, 0x1.1f71ccp-8f, 0x1.5b901ep-5f);
	p = v_fma(p, t, 0x1.8214a6p-3f);
	p = v_fma(p, t, 0x1.c80ac4p-2f);
	p = v_fma(p, t, 0.5f);
	q = v_fma(t, 0x1.684186p-7f, 0x1.b39f94p-4f);
	q = v_fma(q, t, 0x1.ef05f0p-2f);
	q = v_fma(q, t, 0x1.396d78p+0f);
	q = v_fma(q, t, 0x1.b04796p+0f);
	q = v_fma(q, t, 1.0f);
	half = v_sar(v_bits(n), 1);
	p = v_exp2_core(f) * p / q * v_pow2(half);
	q = v_pow2(v_bits(n) - half);
	return a * v_sel(below, p, 1.0f - p * q) * v_sel(below, q, 1.0f);
}
#define v_normal_times(a, x) v_normal_times_(v_of(a), v_of(x))

/* ---- log and what is made of it ------------------------------------------------------------- */

/* Exponent of x > 0 that leaves a mantissa in [sqrt(1/2), sqrt(2)), and that mantissa less 1. */
EXPR vi v_exponent(v x) { return v_sar(v_bits(x) - 0x3f3504f3, 23); }
EXPR v v_fraction(v x, vi e) { return v_float(v_bits(x) - v_shl(e, 23)) - 1.0f; }

/* log(2^e (1 + f)) for a fraction f */
EXPR v v_log_join(v f, v e)
{
	v p = v_fma(f, -0x1.30000ap-4f, 0x1.06a2b6p-3f);
	p = v_fma(p, f, -0x1.0ffc52p-3f);
	p = v_fma(p, f, 0x1.22bcb6p-3f);
	p = v_fma(p, f, -0x1.541ae2p-3f);
	p = v_fma(p, f, 0x1.999fecp-3f);
	p = v_fma(p, f, -0x1.00044cp-2f);
	p = v_fma(p, f, 0x1.555558p-2f);
	p = v_fma(p, f, -0x1.fffff8p-2f);
	p = v_fma(p, f * f, e * 0x1.efa39ep-25f) + f;
	return v_fma(e, 0x1.62e42ep-1f, p);
}

/* y inside (0, inf), else what log gives */
EXPR v v_log_edges(v x, v y)
{
	return v_sel((x > 0.0f) & (x < V_INF), y, v_sel(x == 0.0f, -V_INF, v_sel(x < 0.0f, V_NAN, x)));
}

EXPR v v_log(v x)
{
	vm tiny = x < 0x1p-126f;
	v u = v_sel(tiny, x * 0x1p24f, x);
	vi e = v_exponent(u);
	return v_log_edges(x, v_log_join(v_fraction(u, e), v_from_int(e) - v_sel(tiny, 24.0f, 0.0f)));
}

/* log(1 + x) for -1 < x < inf */
EXPR v v_log1p_core(v x)
{
	v u = x + 1.0f, w = u - 1.0f;
	v lost = (1.0f - (u - w)) + (x - w);         /* u + lost is x + 1, exactly */
	vi e = v_exponent(u);
	return v_log_join(v_fraction(u, e) + lost * v_pow2(1 - e) * 0.5f, v_from_int(e));
}

/* The same for 0 <= x <= 1, where the exponent of x + 1 is 0 or 1. */
EXPR v v_log1p_unit(v x)
{
	vm big = x + 1.0f >= 0x1.6a09e6p+0f;
	return v_log_join(v_sel(big, v_fma(x, 0.5f, -0.5f), x), v_sel(big, 1.0f, 0.0f));
}

EXPR v v_log1p(v x) { return v_copysign(v_log_edges(x + 1.0f, v_log1p_core(x)), x); }

/* log1p(big ? a : y), and log(2) more where it is big: for areas whose argument would overflow */
EXPR v v_log1p_or_double(vm big, v a, v y)
{
	return v_log1p(v_sel(big, a, y)) + v_sel(big, 0x1.62e430p-1f, 0.0f);
}

EXPR v v_asinh(v x)
{
	v a = v_abs(x), s = a * a;
	return v_copysign(v_log1p_or_double(a > 0x1p30f, a, a + s / (v_sqrt(s + 1.0f) + 1.0f)), x);
}

EXPR v v_acosh(v x)
{
	v t = x - 1.0f;
	return v_sel(x < 1.0f, V_NAN, v_log1p_or_double(x > 0x1p30f, x, t + v_sqrt(v_fma(t, t, t + t))));
}

EXPR v v_atanh(v x)
{
	v a = v_abs(x);
	return v_copysign(0.5f * v_log1p((a + a) / (1.0f - a)), x);
}

/* x^y as 2^(y log2 x), the logarithm in two floats. */
EXPR v v_pow_(v x, v y)
{
	v a = v_abs(x), u, f, den, s, low, z, p, pl, g, n, r;
	vm tiny = a < 0x1p-126f, whole = v_trunc(y) == y, odd = whole & (v_trunc(y * 0.5f) != y * 0.5f);
	vi e, half;
	u = v_sel(tiny, a * 0x1p24f, a);
	e = v_exponent(u);
	f = v_fraction(u, e);
	/* log2(1 + f) = 2/ln(2) atanh(s), s = f / (2 + f), with s + low for s */
	den = f + 2.0f;
	s = f / den;
	low = v_fma(-s, f - (den - 2.0f), v_fma(-s, den, f)) / den;
	z = s * s;
	p = v_fma(z, 0x1.dfa30ap-4f, 0x1.24527ap-3f);
	p = v_fma(p, z, 0x1.999a00p-3f);
	/* atanh(s) / s - 1 = p + pl = z/3 + z^2 p, z having an error of its own */
	pl = v_fma(s + s, low, v_fma(s, s, -z)) * 0x1.555556p-2f;
	pl = v_fma(z * z, p, v_fma(z, -0x1.555556p-27f, pl));
	p = z * 0x1.555556p-2f;
	pl = v_fma(z, 0x1.555556p-2f, -p) + pl;
	/* g + low = s (1 + p + pl) */
	u = s * p;
	pl = v_fma(s, pl, v_fma(low, p, v_fma(s, p, -u)));
	g = s + u;
	low = ((s - g) + u) + (low + pl);
	/* times 2/ln(2), plus e */
	u = g * (2 * V_LOG2E);
	low = v_fma(g, 2 * V_LOG2E, -u) + v_fma(g, 2 * V_LOG2E_LOW, low * (2 * V_LOG2E));
	n = v_from_int(e) - v_sel(tiny, 24.0f, 0.0f);
	g = n + u;
	low = ((n - g) + u) + low;
	/* times y */
	p = g * y;
	pl = v_fma(low, y, v_fma(g, y, -p));
	pl = v_sel(v_abs(p) < 200.0f, pl, 0.0f);
	p = v_lesser(200.0f, v_greater(-200.0f, p));
	n = p + V_ROUND_UP;
	half = v_sar(v_bits(n), 1);
	r = v_exp2_core((p - (n - V_ROUND_UP)) + pl) * v_pow2(half) * v_pow2(v_bits(n) - half);
	/* what the logarithm can't say */
	r = v_sel((a == 0.0f) | (a == V_INF), v_sel((a == 0.0f) ^ (y < 0.0f), 0.0f, V_INF), r);
	r = v_sel(v_isinf(y), v_sel(a == 1.0f, 1.0f, v_sel((a > 1.0f) ^ (y < 0.0f), V_INF, 0.0f)), r);
	r = v_sel((x < 0.0f) & v_not(whole) & (a < V_INF), V_NAN, r);
	r = v_sel(odd, v_copysign(r, x), r);
	r = v_sel(v_isnan(x) | v_isnan(y), x + y, r);
	return v_sel((y == 0.0f) | (x == 1.0f), 1.0f, r);
}
#define v_pow(x, y) v_pow_(v_of(x), v_of(y))

/* ---- circular functions --------------------------------------------------------------------- */

/* x * 2/pi for a finite |x| >= 2^14: its last two whole bits once rounded, and the signed rest in 2^-64ths. */
LANE long long v_big_turns(float x, int *quadrant)
{
	const unsigned digits[] = {                  /* of 2/pi after the point, 32 bits each */
		0, 0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab
	};
	unsigned bits, word[3];
	unsigned long long m, product;
	long long rest;
	int from;
	memcpy(&bits, &x, sizeof bits);
	m = (bits & 0x7fffff) | 0x800000;
	from = (int)(bits >> 23 & 255) - 150 + 30;   /* earlier digits make multiples of 4 */
	for (int i = 0; i < 3; i++) {
		const unsigned *d = digits + from / 32 + i;
		word[i] = (unsigned)((((unsigned long long)d[0] << 32 | d[1]) << from % 32) >> 32);
	}
	product = (m * word[0] << 32) + m * word[1] + (m * word[2] >> 32);
	rest = (long long)(product << 2);
	*quadrant = (int)(product >> 62) + (rest < 0);
	if (bits >> 31) {
		*quadrant = -*quadrant;
		rest = -rest;
	}
	return rest;
}

LANE float v_big_angle(float x)
{
	int quadrant;
	if (!(x - x == 0.0f)) return x - x;          /* infinite or NaN */
	return (float)((double)v_big_turns(x, &quadrant) * (1.5707963267948966 * 0x1p-64));
}

LANE float v_big_quadrant(float x)
{
	int quadrant = 0;
	if (x - x == 0.0f) (void)v_big_turns(x, &quadrant);
	return (float)quadrant;
}

/* x = result + quadrant * pi/2, the result within pi/4 of 0. Three floats of pi/2 do for a moderate x. */
EXPR v v_angle(v x, vi *quadrant)
{
	v t = v_fma(x, 0x1.45f306p-1f, V_ROUND_UP), n = t - V_ROUND_UP, r;
	vm big = v_not(v_abs(x) <= 32768.0f);
	r = v_fma(n, -0x1.921fb4p+0f, x);
	r = v_fma(n, -0x1.4442d0p-24f, r);
	r = v_fma(n, -0x1.846988p-48f, r);
	if (v_any(big)) {
		v safe = v_sel(big, x, 32768.0f);
		r = v_sel(big, v_each1(v_big_angle, safe), r);
		t = v_sel(big, v_each1(v_big_quadrant, safe) + V_ROUND_UP, t);
	}
	*quadrant = v_bits(t);
	return r;
}

EXPR v v_sin_core(v r)
{
	v s = r * r, p = v_fma(s, -0x1.9952fap-13f, 0x1.110776p-7f);
	p = v_fma(p, s, -0x1.555546p-3f);
	return v_fma(p * s, r, r);
}

EXPR v v_cos_core(v r)
{
	v s = r * r, p = v_fma(s, 0x1.99e80cp-16f, -0x1.6c0c28p-10f);
	p = v_fma(p, s, 0x1.55554ap-5f);
	p = v_fma(p, s, -0.5f);
	return v_fma(p, s, 1.0f);
}

/* sin(r + quadrant * pi/2) */
EXPR v v_sin_turned(v r, vi quadrant)
{
	v y = v_sel((quadrant & 1) == 0, v_sin_core(r), v_cos_core(r));
	return v_float(v_bits(y) ^ v_shl(quadrant & 2, 30));
}

EXPR v v_sin(v x)
{
	vi quadrant;
	v r = v_angle(x, &quadrant);
	return v_sel(x == 0.0f, x, v_sin_turned(r, quadrant));
}

EXPR v v_cos(v x)
{
	vi quadrant;
	v r = v_angle(x, &quadrant);
	return v_sin_turned(r, quadrant + 1);
}

EXPR v v_tan(v x)
{
	vi quadrant;
	v r = v_angle(x, &quadrant), s = v_sin_core(r), c = v_cos_core(r);
	vm even = (quadrant & 1) == 0;
	return v_sel(x == 0.0f, x, v_sel(even, s, -c) / v_sel(even, c, s));
}

#define V_HALF_PI 0x1.921fb6p+0f                 /* pi/2 = V_HALF_PI + V_HALF_PI_LOW */
#define V_HALF_PI_LOW (-0x1.777a5cp-25f)

/* asin(a) for 0 <= a <= 1/2, and for a larger a its half complement asin(sqrt((1 - a) / 2)) */
EXPR v v_asin_core(v a)
{
	vm big = a > 0.5f;
	v s = v_sel(big, v_fma(a, -0.5f, 0.5f), a * a), t = v_sel(big, v_sqrt(s), a);
	v p = v_fma(s, 0x1.59f912p-5f, 0x1.8b8e36p-6f);
	p = v_fma(p, s, 0x1.748cbap-5f);
	p = v_fma(p, s, 0x1.33015ep-4f);
	p = v_fma(p, s, 0x1.5555cap-3f);
	return v_fma(p * s, t, t);
}

EXPR v v_asin(v x)
{
	v a = v_abs(x), p = v_asin_core(a);
	return v_copysign(v_sel(a > 0.5f, v_fma(p, -2.0f, V_HALF_PI) + V_HALF_PI_LOW, p), x);
}

EXPR v v_acos(v x)
{
	v a = v_abs(x), p = v_asin_core(a), twice = p + p;
	v big = v_sel(x < 0.0f, (2 * V_HALF_PI - twice) + 2 * V_HALF_PI_LOW, twice);
	return v_sel(a > 0.5f, big, (V_HALF_PI - v_copysign(p, x)) + V_HALF_PI_LOW);
}

EXPR v v_atan(v x)
{
	v a = v_abs(x);
	vm middle = a > 0.41421356f, large = a > 2.4142136f;
	v t = v_sel(large, -1.0f, v_sel(middle, a - 1.0f, a)) / v_sel(large, a, v_sel(middle, a + 1.0f, 1.0f));
	v base = v_sel(large, V_HALF_PI, v_sel(middle, 0.5f * V_HALF_PI, 0.0f)), s = t * t;
	v p = v_fma(s, -0x1.f2acb8p-5f, 0x1.b21adep-4f);
	p = v_fma(p, s, -0x1.23b924p-3f);
	p = v_fma(p, s, 0x1.9991dep-3f);
	p = v_fma(p, s, -0x1.55554ap-2f);
	p = v_fma(p * s, t, t);
	return v_copysign(v_fma(base, V_HALF_PI_LOW / V_HALF_PI, p) + base, x);
}

/* ---- remainder ------------------------------------------------------------------------------ */

/* What C's fmod gives, which is always a float exactly. */
LANE float v_fmod_lane(float x, float y) { return fmodf(x, y); }
#define v_fmod(x, y) v_each2(v_fmod_lane, v_of(x), v_of(y))
#endif

/* ---- all views ------------------------------------------------------------------------------ */

EXPR v v_sigmoid(v x) { return v_gate(1.0f, x, 1.0f); }

/* log(1 + exp(x)) */
EXPR v v_softplus(v x) { return v_greater(0.0f, x) + v_log1p_unit(v_exp(-v_abs(x))); }

#endif
