/* window.cuh -- writes what igemm.wgmma reads of an input of few channels: cells of FOLD_H x FOLD_W pixels, CELL elements each, with the
 * padding in place. A thread writes 16 bytes. CHANNELS: of a pixel; FROM_F32: the input is float32, whatever the cells are of. */

#if FROM_F32
typedef float input;
HERE element element_from(float x) { return element_of(x); }
#else
typedef element input;
HERE element element_from(element x) { return x; }
#endif

enum { CHUNK = 16 / ES, CHUNKS = CELL / CHUNK };

extern "C" __global__ void __launch_bounds__(256) igemm(const __grid_constant__ igemm_window_args p)
{
	let_next_start();
	wait_for_previous();
	const long long count = (long long)p.n * p.rows * p.columns * CHUNKS;
	for (long long at = blockIdx.x * 256ll + threadIdx.x; at < count; at += gridDim.x * 256ll) {
		const int first = (int)(at % CHUNKS) * CHUNK;
		const long long cell = at / CHUNKS, line = cell / p.columns, image = line / p.rows;
		const int x = (int)(cell % p.columns) * FOLD_W - p.left, y = (int)(line % p.rows) * FOLD_H - p.above;
		union { element e[CHUNK]; uint4 word; } u;
		#pragma unroll
		for (int i = 0; i < CHUNK; i++) {
			const int pixel = (first + i) / CHANNELS, c = (first + i) % CHANNELS, h = y + pixel / FOLD_W, w = x + pixel % FOLD_W;
			const bool there = pixel < FOLD_H * FOLD_W && (u32)h < (u32)p.h && (u32)w < (u32)p.w;
			u.e[i] = there ? element_from(((const input *)p.in)[image * p.step_n + c * p.step_c + h * p.step_h + w * p.step_w]) : element(0);
		}
		((uint4 *)p.out)[at] = u.word;
	}
}
