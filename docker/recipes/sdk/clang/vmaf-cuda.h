/* The part of CUDA that libvmaf's kernels use, for clang with -nocudainc -nocudalib: types,
 * qualifiers, and functions that are an instruction or a few. Nothing here is from NVIDIA's
 * headers; the functions behave as NVIDIA's CUDA C++ Programming Guide and CUDA Math API describe
 * them. A kernel that calls another function, such as pow, does not compile.
 */
#pragma once

#define __host__ __attribute__((host))
#define __device__ __attribute__((device))
#define __global__ __attribute__((global))
#define __shared__ __attribute__((shared))
#define __constant__ __attribute__((constant))
#define __align__(n) __attribute__((aligned(n)))
#define __forceinline__ inline __attribute__((always_inline))

/* In this order, and after the qualifiers: clang's <algorithm> uses them, and malloc. */
#include <cstdint>
#include <cstdlib>
#include <cmath>
#include <algorithm>

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x, y, z; };
struct __attribute__((aligned(4))) short2 { short x, y; };
struct __attribute__((aligned(8))) ushort4 { unsigned short x, y, z, w; };
struct __attribute__((aligned(8))) uint2 { unsigned x, y; };
struct __attribute__((aligned(16))) uint4 { unsigned x, y, z, w; };
struct __attribute__((aligned(16))) int4 { int x, y, z, w; };

/* threadIdx, blockIdx, blockDim and gridDim; a header of clang that needs uint3 and dim3 */
#include <__clang_cuda_builtin_vars.h>

#define VMAF_DEVICE static __device__ __forceinline__

VMAF_DEVICE short2 make_short2(short x, short y) { return short2{x, y}; }
VMAF_DEVICE int4 make_int4(int x, int y, int z, int w) { return int4{x, y, z, w}; }

/* The last argument of the instruction has the width of the segments and the clamp, the highest
 * lane of a segment (PTX ISA, shfl.sync).
 */
VMAF_DEVICE int __shfl_down_sync(unsigned mask, int value, unsigned delta, int width = 32)
{
    return __nvvm_shfl_sync_down_i32(mask, value, delta, ((32 - width) << 8) | 31);
}

VMAF_DEVICE unsigned __shfl_down_sync(unsigned mask, unsigned value, unsigned delta,
                                      int width = 32)
{
    return (unsigned)__shfl_down_sync(mask, (int)value, delta, width);
}

VMAF_DEVICE long __shfl_down_sync(unsigned mask, long value, unsigned delta, int width = 32)
{
    unsigned long low = __shfl_down_sync(mask, (unsigned)value, delta, width);
    unsigned long high = __shfl_down_sync(mask, (unsigned)(value >> 32), delta, width);
    return (long)(high << 32 | low);
}

VMAF_DEVICE unsigned long long atomicAdd(unsigned long long *sum, unsigned long long value)
{
    return (unsigned long long)__nvvm_atom_add_gen_ll((long long *)sum, (long long)value);
}

/* clang's built-in functions are undefined for 0 */
VMAF_DEVICE int __clz(unsigned value) { return value ? __builtin_clz(value) : 32; }
VMAF_DEVICE int __clzll(unsigned long long value) { return value ? __builtin_clzll(value) : 64; }

VMAF_DEVICE unsigned __float2uint_ru(float value) { return __nvvm_f2ui_rp(value); }
VMAF_DEVICE float __log2f(float value) { return __nvvm_lg2_approx_f(value); }

/* All types, as the compiler would otherwise convert an argument to another type. */
VMAF_DEVICE int max(int a, int b) { return a > b ? a : b; }
VMAF_DEVICE int min(int a, int b) { return a < b ? a : b; }
VMAF_DEVICE unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }
VMAF_DEVICE unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
VMAF_DEVICE double max(double a, double b) { return __builtin_fmax(a, b); }
VMAF_DEVICE double min(double a, double b) { return __builtin_fmin(a, b); }
VMAF_DEVICE int abs(int value) { return value < 0 ? -value : value; }
VMAF_DEVICE long abs(long value) { return value < 0 ? -value : value; }
VMAF_DEVICE long long abs(long long value) { return value < 0 ? -value : value; }
VMAF_DEVICE float abs(float value) { return __builtin_fabsf(value); }
VMAF_DEVICE double abs(double value) { return __builtin_fabs(value); }

/* libvmaf calls it with constants only, so that clang evaluates the calls. */
VMAF_DEVICE float cosf(float value) { return __builtin_cosf(value); }
