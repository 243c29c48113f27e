// kernels.cu run by a processor: the grid is a loop, and halves are converted here.
//
// Built by emulation.py: g++ -shared -DKERNELS='"...kernels.cu"' emulated_kernels.cpp

#include <cmath>
#include <cstdint>
#include <cstring>

struct Index {
    unsigned x, y, z;
};
static thread_local Index gridDim, blockDim, blockIdx, threadIdx;

static float from_half(unsigned short half) {
    uint32_t sign = (uint32_t)(half >> 15) << 31, exponent = half >> 10 & 31, rest = half & 1023;
    if (exponent == 0) {  // zero and subnormal: exact in float32
        float value = (float)rest * 5.9604644775390625e-8f;
        return sign ? -value : value;
    }
    uint32_t bits = sign | (exponent == 31 ? 255u : exponent + 112) << 23 | rest << 13;
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}

static unsigned short to_half(float value) {  // round to nearest, ties to even
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    unsigned short sign = (unsigned short)(bits >> 16 & 0x8000);
    float size = std::fabs(value);
    if (std::isnan(value)) return 0x7fff;
    if (size >= 65520.0f) return (unsigned short)(sign | 0x7c00);
    if (size < 6.103515625e-5f) {
        return (unsigned short)(sign | (int)std::nearbyint(size * 16777216.0f));
    }
    uint32_t rounded = (bits & 0x7fffffff) + 0xfff + (bits >> 13 & 1);
    return (unsigned short)(sign | ((rounded >> 13) - (112u << 10)));
}

#define EDGESEG_EMULATED
#define __device__
#define __global__
#include KERNELS

template <class A, class B, class C, class D>
static void run(void (*kernel)(A, B, C, D), const unsigned* grid, const unsigned* block,
                void* const* arguments) {
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    unsigned blocks = grid[0] * grid[1] * grid[2], threads = block[0] * block[1] * block[2];
    for (unsigned b = 0; b < blocks; ++b) {
        blockIdx = {b % grid[0], b / grid[0] % grid[1], b / grid[0] / grid[1]};
        for (unsigned t = 0; t < threads; ++t) {
            threadIdx = {t % block[0], t / block[0] % block[1], t / block[0] / block[1]};
            kernel(*(A*)arguments[0], *(B*)arguments[1], *(C*)arguments[2], *(D*)arguments[3]);
        }
    }
}

// Runs a kernel by name; 0, or 1 where there is none of that name.
extern "C" int edgeseg_emulate(const char* name, const unsigned* grid, const unsigned* block,
                               void* const* arguments) {
    if (!std::strcmp(name, "i420_to_input"))
        run(i420_to_input, grid, block, arguments);
    else if (!std::strcmp(name, "scores_to_labels"))
        run(scores_to_labels, grid, block, arguments);
    else if (!std::strcmp(name, "person_to_bytes"))
        run(person_to_bytes, grid, block, arguments);
    else
        return 1;
    return 0;
}

extern "C" unsigned short edgeseg_to_half(float value) { return to_half(value); }
extern "C" float edgeseg_from_half(unsigned short half) { return from_half(half); }
